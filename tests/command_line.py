"""Entry points as users call them."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]


def words(options: Mapping[str, object]) -> list[str]:
    """--name value for each option."""
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


def call(entry_point: str, **options: object) -> None:
    """The entry point in a process of its own, which has to succeed."""
    subprocess.run([sys.executable, ROOT / entry_point, *words(options)], check=True)
