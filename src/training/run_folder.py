"""What a run writes: config.yaml, metrics.csv, train.log, events/, samples/, checkpoints/. It deletes its own alone."""

import csv
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from ..checkpoint import LAST, quiet
from ..errors import InputError
from ..files import make_folder
from .events import Events

logger = logging.getLogger(__name__)

NUMBER = re.compile(r"\d{7}")
PARTIAL = ".unfinished-"  # what is not whole yet is called
# In each checkpoint: its files' checksums, as `sha256sum --check` reads them. The CRC that MindSpore puts in each file
# does not say which files there have to be, nor that the folder is a checkpoint of this run.
SUMS = "SHA256SUMS"
SUM = re.compile(r"([0-9a-f]{64})  ([\w.-]+)\n")  # a line of it
EARLIER = f"{SUMS}.earlier_run"  # what it is called in checkpoints of a run that was overwritten


class RunFolder:
    """One run's folder. Raises InputError or OSError, which entry points show, if it cannot be used."""

    def __init__(self, path: str | Path, columns: tuple[str, ...], keep: int) -> None:
        self.path = Path(path)
        self.checkpoints, self.samples = self.path / "checkpoints", self.path / "samples"
        self.metrics, self.config = self.path / "metrics.csv", self.path / "config.yaml"
        self.log = self.path / "train.log"
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
        for checkpoint in self._numbered():  # they stay, but --resume must not go on from them
            if (checkpoint / SUMS).exists():
                os.replace(checkpoint / SUMS, checkpoint / EARLIER)
        (self.checkpoints / LAST).unlink(missing_ok=True)
        self._write_rows([])
        self.log.write_text("", encoding="utf-8")
        self.events = Events(self.path / "events", 0)

    def check_unchanged(self, options: Mapping[str, object]) -> None:
        """Raises InputError unless the run can be resumed with these options: it was started with the same."""
        if not self.config.is_file():
            raise InputError(f"--resume: {self.path} holds no run; start without --resume")
        try:
            before = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError):
            before = None
        if not isinstance(before, dict):
            raise InputError(f"--resume: {self.config} is damaged; without it nothing says what the run was")
        for name, value in options.items():
            if before.get(name) != value:
                raise InputError(f"--resume: the run has {name} {before.get(name)}, not {value}; keep it")

    def newest(self) -> tuple[Path, int]:
        """The newest whole checkpoint and its iteration. Says which ones are not, and raises InputError if none is."""
        damaged = []
        for checkpoint in reversed(self._numbered()):
            fault = "" if (checkpoint / EARLIER).exists() else _fault(checkpoint)
            if fault:
                damaged.append(fault)
            elif (checkpoint / SUMS).exists():
                break
        else:
            why = f"no checkpoint is whole: {'; '.join(damaged)}" if damaged else "there is no checkpoint"
            raise InputError(f"--resume: {self.checkpoints}: {why}; --overwrite starts anew")
        last = self.checkpoints / LAST
        if not last.is_file() or last.read_bytes() != f"{checkpoint.name}\n".encode():
            damaged.append(f"{last} does not name the newest whole checkpoint")
        if damaged:
            logger.warning(f"{'; '.join(damaged)}; going on from {checkpoint}.")
        return checkpoint, int(checkpoint.name)

    def resume(self) -> tuple[Path, int]:
        """`newest`, to go on from: rows of metrics.csv that came after it are dropped, and what was never finished."""
        checkpoint, iteration = self.newest()
        self._make_folders()
        for left in (*self.path.glob(f"{PARTIAL}*"), *self.checkpoints.glob(f"{PARTIAL}*")):
            _remove(left)
        os.replace(self._new_last(checkpoint), self.checkpoints / LAST)
        # Not those of an earlier run, and not what a user has called like a checkpoint.
        self.written = [p for p in self._numbered() if (p / SUMS).exists() and p.name <= checkpoint.name]
        rows = []
        if self.metrics.is_file():
            with open(self.metrics, newline="", encoding="utf-8", errors="replace") as file:
                whole = (row for row in csv.reader(file) if len(row) == len(self.columns) and row[0].isdigit())
                rows = [row for row in whole if int(row[0]) <= iteration]
        self._write_rows(rows)
        self.events = Events(self.path / "events", iteration)
        return checkpoint, iteration

    def add_row(self, values: list) -> None:
        with open(self.metrics, "a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(values)
        numbers = dict(zip(self.columns, map(float, values), strict=True))
        self.events.add(int(numbers.pop("iteration")), numbers)

    def note(self, line: str) -> None:
        """Add a line to train.log, with the time."""
        with open(self.log, "a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")

    def save(self, iteration: int, write: Callable[[Path], None]) -> Path:
        """`write` fills a folder, which then becomes checkpoints/NNNNNNN and the newest; the oldest of many go.

        Until then the folder has another name, so that a run killed at any moment leaves no half of a checkpoint.
        Raises InputError, and leaves nothing, where it cannot be written.
        """
        final = self.checkpoints / f"{iteration:07d}"
        partial = self.checkpoints / f"{PARTIAL}{final.name}"
        _remove(partial)
        try:
            partial.mkdir()
            with quiet():
                write(partial)
            _write_sums(partial)
            last = self._new_last(final)  # before the first renaming, so that no full disk comes between the two
            if final.exists():  # damaged, or of an earlier run that is being overwritten
                self._discard(final)
            os.replace(partial, final)
            os.replace(last, self.checkpoints / LAST)
        except OSError as error:
            _remove(partial)
            kept = f"checkpoint {self.written[-1]} is kept" if self.written else "there is no earlier one"
            raise InputError(f"checkpoint {final} cannot be written: {error.strerror or error}; {kept}") from error

        self.written = [path for path in self.written if path != final] + [final]
        for old in self.written[: -self.keep]:
            self._discard(old)
        self.written = self.written[-self.keep :]
        return final

    def write_config(self, dump: Callable[[Path], None]) -> None:
        """`dump` writes config.yaml, which is there whole or not at all."""
        new = self.path / f"{PARTIAL}{self.config.name}"
        dump(new)
        os.replace(new, self.config)

    def _discard(self, checkpoint: Path) -> None:
        """Delete it; what is left of it if the run is killed meanwhile is not taken for a checkpoint."""
        doomed = self.checkpoints / f"{PARTIAL}old-{checkpoint.name}"
        _remove(doomed)
        os.replace(checkpoint, doomed)
        shutil.rmtree(doomed)

    def _new_last(self, checkpoint: Path) -> Path:
        """A file that is to become `last`."""
        new = self.checkpoints / f"{PARTIAL}{LAST}"
        new.write_text(f"{checkpoint.name}\n", encoding="utf-8")
        return new

    def _numbered(self) -> list[Path]:
        """The folders that are called as checkpoints are, oldest first."""
        found = self.checkpoints.iterdir() if self.checkpoints.is_dir() else ()
        return sorted(path for path in found if NUMBER.fullmatch(path.name) and path.is_dir())

    def _make_folders(self) -> None:
        for folder in (self.path, self.checkpoints, self.samples):
            make_folder(folder)

    def _write_rows(self, rows: list) -> None:
        new = self.path / f"{PARTIAL}metrics.csv"
        with open(new, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([self.columns, *rows])
        os.replace(new, self.metrics)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _write_sums(folder: Path) -> None:
    """Checksums of all files of a folder, which then are on the disk and not only on their way to it."""
    sums = folder / SUMS
    sums.write_text("".join(f"{_digest(path)}  {path.name}\n" for path in sorted(folder.iterdir())), encoding="utf-8")
    for path in folder.iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())


def _fault(checkpoint: Path) -> str:
    """What is wrong with the files of a checkpoint, in a few words; '' if they are as they were written."""
    sums = checkpoint / SUMS
    if not sums.is_file():
        return f"{sums} is missing"
    lines = sums.read_text(encoding="utf-8", errors="replace").splitlines(True)
    found = [match for line in lines if (match := SUM.fullmatch(line))]
    if not lines or len(found) < len(lines):
        return f"{sums} is damaged"
    expected = {match[2]: match[1] for match in found}
    # Every network has to have its line, too: a list cut short would vouch for less.
    for path in sorted({checkpoint / name for name in expected} | set(checkpoint.glob("*.ckpt"))):
        if not path.is_file():
            return f"{path} is missing"
        if path.name not in expected or _digest(path) != expected[path.name]:
            return f"{path} is damaged"
    return ""
