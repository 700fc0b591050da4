"""How far a long run is: a bar on a terminal, a line now and then in a log."""

import io
import shutil
import sys
import time
from typing import TextIO

BAR = 24  # characters
REDRAW, REPORT = 0.1, 10.0  # seconds between two drawings of the bar, and between two lines in a log


def print_any_name() -> None:
    """Of what a terminal or a pipe cannot show, such as names of files in another encoding, print codes instead."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Progress:
    """Counts to `total`, of which `done` are behind us already.

        with Progress(300, "Evaluating") as progress:
            progress.update(4, psnr=31.2)

    The first update starts the clock: what comes before it, such as compiling, says nothing about what is left.
    """

    def __init__(self, total: int, label: str, done: int = 0, stream: TextIO | None = None) -> None:
        self.total, self.label, self.done = total, label, done
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.start: tuple[float, int] | None = None  # time and count of the first update
        self.shown = 0.0  # time
        self.unfinished_line = False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self.unfinished_line:
            print(file=self.stream)

    def update(self, count: int = 1, **numbers: float) -> None:
        """`count` more are done; `numbers` are shown beside."""
        now = time.monotonic()
        self.done += count
        self.start = self.start or (now, self.done)
        if now - self.shown >= (REDRAW if self.terminal else REPORT) or self.done >= self.total:
            self.shown = now
            self._show(now, numbers)

    def say(self, line: str) -> None:
        """Print a line that stays, in place of the bar, which the next update draws below it."""
        print(f"\r{line}\x1b[K" if self.unfinished_line else line, file=self.stream, flush=True)
        self.unfinished_line = False

    def _show(self, now: float, numbers: dict[str, float]) -> None:
        parts = [f"{self.done}/{self.total}", *self._pace(now)]
        parts += [f"{name} {value:.4g}" for name, value in numbers.items()]
        if not self.terminal:
            print(self.label, ", ".join(parts), file=self.stream, flush=True)
            return
        filled = BAR * self.done // max(self.total, 1)
        line = f"{self.label} [{'#' * filled}{'.' * (BAR - filled)}] {', '.join(parts)}"
        columns = shutil.get_terminal_size().columns - 1  # a line that wraps could not be redrawn
        print(f"\r{line[:columns]}\x1b[K", end="", file=self.stream, flush=True)
        self.unfinished_line = True

    def _pace(self, now: float) -> list[str]:
        """Rate and time left, once there is something to tell them from."""
        since, first = self.start or (now, self.done)
        if self.done == first:
            return []
        seconds = (now - since) / (self.done - first)
        rate = f"{1 / seconds:.1f}/s" if 0 < seconds < 1 else f"{seconds:.2f} s each"
        return [rate, f"{clock(seconds * (self.total - self.done))} left"]


def clock(seconds: float) -> str:
    """3725 -> 1:02:05"""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
