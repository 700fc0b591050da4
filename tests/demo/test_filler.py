"""The worker behind page and API, without either."""

import threading

import pytest

from src.demo.filler import Busy, Filler, Limits, Task
from src.inference.user_files import Settings

CHOICE = "weights", "runtime"


def test_who_leaves_while_waiting_leaves_the_place_to_others(tmp_path):
    entered, leave = threading.Event(), threading.Event()

    class BlockedFiller(Filler):
        def _fill(self, task):
            entered.set()
            assert leave.wait(60)

    def task():
        return Task(tmp_path / "picture.png", tmp_path / "mask.png", CHOICE)

    filler = BlockedFiller([CHOICE], dict, Limits(max_waiting=1), Settings())
    running = filler.submit(task())
    assert entered.wait(60)
    for _ in range(3):
        assert filler.submit(task()).cancel()
    waiting = filler.submit(task())
    with pytest.raises(Busy, match="1 pictures are waiting"):
        filler.submit(task())
    leave.set()
    running.result(60), waiting.result(60)
    filler.submit(task()).result(60)
    filler.worker.shutdown()
