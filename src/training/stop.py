"""SIGTERM and SIGINT (Ctrl-C) ask a training run to save and end."""

import signal
from collections.abc import Iterable, Iterator
from typing import TypeVar

from .ranks import on_any_rank

T = TypeVar("T")


class StopRequest:
    """While batches are taken from `listen`, the first signal is noted and the iteration runs on; a second one ends the
    process at once.

    Every rank calls `check` after each iteration, so that all end after the same one, whichever was sent a signal.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self, world: int) -> None:
        self.world = world
        self.noted = self.made = False

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
        """Has a signal come to this rank, or to another?"""
        self.made = self.noted if self.world == 1 else on_any_rank(self.noted)
        return self.made
