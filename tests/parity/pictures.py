"""Completed pictures, to set beside the published code's."""

from pathlib import Path

import numpy as np
from PIL import Image


def assert_completed(found: Path, expected: Path, original: Path, mask: Path, levels: int) -> None:
    """Within so many levels of 255 of the expected picture, and where it is known exactly the original."""
    picture, wanted, image = (np.asarray(Image.open(path)).astype(int) for path in (found, expected, original))
    assert np.abs(picture - wanted).max() <= levels
    known = np.asarray(Image.open(mask).convert("L")) < 128
    np.testing.assert_array_equal(picture[known], image[known])
