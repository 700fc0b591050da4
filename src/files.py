"""Files that commands write: never half of one, and never over another unless asked."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError


def make_folder(folder: Path) -> None:
    """Make sure that files can be written in `folder`. Raises InputError or OSError, which entry points show."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give a folder")
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{folder} cannot be written; give another folder")


def refuse_existing(paths: Iterable[Path], overwrite: bool) -> None:
    """Raises InputError if one of the paths is taken, by a folder or, unless `overwrite`, by a file."""
    for path in paths:
        if path.is_dir():
            raise InputError(f"{path} is a folder; give the name of a file")
        if path.exists() and not overwrite:
            raise InputError(f"{path} exists; --overwrite replaces it")


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A new folder to write files in: they move to `folder` when the block ends, and vanish if it fails."""
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=folder) as new:
        yield Path(new)
        for path in sorted(Path(new).iterdir()):
            os.replace(path, folder / path.name)
