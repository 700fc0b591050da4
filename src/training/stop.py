"""SIGTERM and SIGINT (Ctrl-C) ask a training run to save and end."""

import signal
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from .ranks import largest_of_ranks

T = TypeVar("T")

# Ranks agree on whether to stop after every EVERY iterations: each time the host waits for its device, and for the
# slowest rank. Where iterations are slow, sooner, so that a signal is followed WITHIN seconds: scripts/msrun.py kills
# ranks that have not ended 30 s after one.
EVERY = 8
WITHIN = 5.0


class StopRequest:
    """While batches are taken from `listen`, the first signal is noted and the iteration runs on; a second one ends the
    process at once.

    Every rank calls `check` after each iteration, so that all end after the same one, whichever was sent a signal. A
    single process ends after the iteration in which the signal came.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self, world: int) -> None:
        self.world = world
        self.noted = self.made = False
        self.began, self.iterations, self.next = time.monotonic(), 0, 1  # since the ranks last agreed, and until then

    def __enter__(self) -> "StopRequest":
        self.before = {number: signal.getsignal(number) for number in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self.SIGNALS)

    def listen(self, batches: Iterable[T]) -> Iterator[T]:
        """The same batches. MindSpore's pipeline installs signal handlers as it starts, which end the process with 0 as
        if all were well; until ours have replaced them, signals wait."""
        signal.pthread_sigmask(signal.SIG_BLOCK, self.SIGNALS)
        for i, batch in enumerate(batches):
            if i == 0:
                for number in self.SIGNALS:
                    signal.signal(number, self._note)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, self.SIGNALS)
            yield batch

    def _note(self, *_: object) -> None:
        self.noted = True
        for number in self.SIGNALS:  # MindSpore may be computing, where only the system's own handler ends it
            signal.signal(number, signal.SIG_DFL)

    def check(self) -> bool:
        """An iteration has been done: do all end now, because a signal came to this rank or to another?"""
        if self.world == 1:
            self.made = self.noted
            return self.made
        self.iterations += 1
        if self.iterations == self.next:
            now = time.monotonic()
            noted, seconds = largest_of_ranks([self.noted, (now - self.began) / self.iterations])
            self.made = noted > 0
            self.began, self.iterations, self.next = now, 0, min(max(int(WITHIN / max(seconds, 1e-6)), 1), EVERY)
        return self.made
