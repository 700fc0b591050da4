import io

import pytest

from src import progress
from src.progress import Progress, clock


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def time(monkeypatch):
    """time(5): five seconds pass."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def test_a_log_gets_a_line_now_and_then_and_at_the_end(time):
    stream = io.StringIO()
    with Progress(20, "Training", done=4, stream=stream) as bar:
        time(60)  # compiling
        for step in range(16):
            bar.update(loss=1 / (step + 1))
            time(2)
    assert stream.getvalue().splitlines() == [
        "Training 5/20, loss 1",
        "Training 10/20, 2.00 s each, 0:20 left, loss 0.1667",
        "Training 15/20, 2.00 s each, 0:10 left, loss 0.09091",
        "Training 20/20, 2.00 s each, 0:00 left, loss 0.0625",
    ]


def test_a_terminal_gets_one_line_that_redraws_itself(time, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    stream = Terminal()
    with Progress(400, "Evaluating", stream=stream) as bar:
        for _ in range(4):
            bar.update(100, psnr=31.234567)
            time(20)
    frames = stream.getvalue().split("\r")
    assert frames[0] == ""
    assert frames[2] == "Evaluating [############............] 200/400, 5.\x1b[K"  # cut, so that it never wraps
    assert stream.getvalue().endswith("\n")


def test_many_updates_are_drawn_ten_times_a_second_at_most(time):
    stream = Terminal()
    with Progress(1000, "x", stream=stream) as bar:
        for _ in range(1000):
            bar.update()
            time(0.001)
    assert stream.getvalue().count("\r") < 14


def test_nothing_is_written_when_nothing_happens():
    for stream in (io.StringIO(), Terminal()):
        with Progress(3, "x", stream=stream):
            pass
        assert stream.getvalue() == ""


def test_clock():
    assert [clock(seconds) for seconds in (0, 59.6, 3725, 360000)] == ["0:00", "1:00", "1:02:05", "100:00:00"]
