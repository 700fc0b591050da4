"""What a training run writes: config.yaml, metrics.csv, samples/, checkpoints/. It deletes nothing but its own."""

import csv
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from src.checkpoint import LAST
from src.errors import InputError
from src.files import make_folder

NUMBER = re.compile(r"\d{7}")
PARTIAL = ".unfinished-"  # what a checkpoint is called until it is whole


class RunFolder:
    """One run's folder. Raises InputError or OSError, which entry points show, if it cannot be used."""

    def __init__(self, path: str | Path, columns: tuple[str, ...], keep: int) -> None:
        self.path = Path(path)
        self.checkpoints, self.samples = self.path / "checkpoints", self.path / "samples"
        self.metrics, self.config = self.path / "metrics.csv", self.path / "config.yaml"
        self.columns, self.keep = columns, keep
        self.written: list[Path] = []  # checkpoints of this run, oldest first

    @property
    def holds_run(self) -> bool:
        return any(path.exists() for path in (self.metrics, self.config, self.checkpoints))

    def start(self, overwrite: bool) -> None:
        """Begin anew. A run that is there already stays unless `overwrite`."""
        if self.holds_run and not overwrite:
            raise InputError(f"{self.path} holds a run; --resume goes on with it, --overwrite starts anew over it")
        self._make_folders()
        last = self.checkpoints / LAST
        if last.exists():  # until this run has a checkpoint, --resume must not go on from an earlier run's
            last.write_text("", encoding="utf-8")
        self._write_rows([])

    def newest(self) -> tuple[Path, int]:
        """The newest checkpoint and its iteration."""
        last = self.checkpoints / LAST
        name = last.read_text(encoding="utf-8").strip() if last.is_file() else ""
        checkpoint = self.checkpoints / name
        if not NUMBER.fullmatch(name) or not checkpoint.is_dir():
            raise InputError(f"--resume: {last} names no checkpoint; start without --resume")
        return checkpoint, int(name)

    def resume(self) -> tuple[Path, int]:
        """`newest`, to go on from: rows of metrics.csv that came after it are dropped."""
        checkpoint, iteration = self.newest()
        self._make_folders()
        folders = [path for path in self.checkpoints.iterdir() if NUMBER.fullmatch(path.name)]
        self.written = sorted(path for path in folders if path.name <= checkpoint.name)
        rows = []
        if self.metrics.is_file():
            with open(self.metrics, newline="", encoding="utf-8") as file:
                rows = [row for row in csv.reader(file) if row and row[0].isdigit() and int(row[0]) <= iteration]
        self._write_rows(rows)
        return checkpoint, iteration

    def add_row(self, values: list) -> None:
        with open(self.metrics, "a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(values)

    def save(self, iteration: int, write: Callable[[Path], None]) -> Path:
        """`write` fills a folder, which then becomes checkpoints/NNNNNNN and the newest; the oldest of many go."""
        final = self.checkpoints / f"{iteration:07d}"
        partial = self.checkpoints / f"{PARTIAL}{final.name}"
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir()
        write(partial)
        if final.exists():  # of an earlier run that is being overwritten, or saved twice
            shutil.rmtree(final)
        os.replace(partial, final)

        last = self.checkpoints / f"{PARTIAL}{LAST}"
        last.write_text(f"{final.name}\n", encoding="utf-8")
        os.replace(last, self.checkpoints / LAST)

        self.written = [path for path in self.written if path != final] + [final]
        for old in self.written[: -self.keep]:
            shutil.rmtree(old)
        self.written = self.written[-self.keep :]
        return final

    def _make_folders(self) -> None:
        for folder in (self.path, self.checkpoints, self.samples):
            make_folder(folder)

    def _write_rows(self, rows: list) -> None:
        new = self.path / f"{PARTIAL}metrics.csv"
        with open(new, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([self.columns, *rows])
        os.replace(new, self.metrics)
