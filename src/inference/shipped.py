"""The weights that ship, as an ONNX file: beside src/ in this project, inside the package where that is installed."""

from pathlib import Path

from ..errors import InputError

NAME = "generator.onnx"


def shipped_network() -> Path:
    """Raises InputError where there is none, as in a package of export.py, which has a network of its own."""
    root = Path(__file__).parents[1]
    for folder in (root / "weights", root.parent / "weights" / "photos"):
        if (folder / NAME).is_file():
            return folder / NAME
    raise InputError(f"no weights ship here ({root / 'weights' / NAME}); give a network's file")
