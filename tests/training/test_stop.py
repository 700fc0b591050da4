"""When ranks agree on stopping. With real ranks and signals: test_distributed.py."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from src.training import stop
from src.training.stop import EVERY, StopRequest


class Ranks:
    """Two ranks as threads, in the place of MindSpore's; counts how often they ask each other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.asked, self.here = [0, 0], threading.local()
        self.values, self.all_here, self.all_read = [None, None], threading.Barrier(2), threading.Barrier(2)
        self.seconds, self.time = seconds, threading.local()  # of an iteration
        monkeypatch.setattr(stop, "largest_of_ranks", self.largest)
        monkeypatch.setattr(stop.time, "monotonic", lambda: getattr(self.time, "now", 0.0))

    def largest(self, values):
        rank = self.here.rank
        self.asked[rank] += 1
        self.values[rank] = values
        self.all_here.wait(10)
        largest = [float(max(pair)) for pair in zip(*self.values, strict=True)]
        self.all_read.wait(10)
        return largest

    def run(self, iterations: int, signals: dict[int, int]) -> list[int]:
        """signals: rank -> iteration in which it gets one. -> the iterations that each rank has done"""

        def train(rank: int) -> int:
            self.here.rank, request = rank, StopRequest(2)
            for i in range(1, iterations + 1):
                self.time.now = i * self.seconds
                if signals.get(rank) == i:
                    request.noted = True
                if request.check():
                    return i
            return iterations

        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(train, range(2)))


@pytest.mark.parametrize("signals", [{0: 20}, {1: 20}, {0: 19, 1: 23}])
def test_all_ranks_stop_after_the_same_iteration(signals, monkeypatch):
    first, second = Ranks(monkeypatch, seconds=0.1).run(100, signals)
    assert first == second
    assert 0 <= first - min(signals.values()) < EVERY


def test_ranks_ask_each_other_every_few_iterations(monkeypatch):
    ranks = Ranks(monkeypatch, seconds=0.1)
    assert ranks.run(81, {}) == [81, 81]
    assert ranks.asked == [1 + 80 // EVERY] * 2  # the first iteration, which tells how long one takes, and every eighth


@pytest.mark.parametrize(("seconds", "most"), [(11.0, 1), (2.0, 2)])
def test_where_iterations_are_slow_a_signal_is_followed_before_the_launcher_kills(seconds, most, monkeypatch):
    first, second = Ranks(monkeypatch, seconds).run(30, {1: 17})
    assert first == second
    assert first - 17 < most


def test_a_single_process_stops_at_once_and_asks_nobody(monkeypatch):
    monkeypatch.setattr(stop, "largest_of_ranks", None)
    request = StopRequest(1)
    assert not request.check()
    request.noted = True
    assert request.check() and request.made
