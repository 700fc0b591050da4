"""Completed images, to set beside the published code's."""

from pathlib import Path

import numpy as np
from PIL import Image


def assert_completed(found: Path, expected: Path, original: Path, mask: Path, levels: int) -> None:
    """Within so many levels of 255 of the expected image, and where it is known exactly the original."""
    image, wanted, before = (np.asarray(Image.open(path)).astype(int) for path in (found, expected, original))
    assert np.abs(image - wanted).max() <= levels
    known = np.asarray(Image.open(mask).convert("L")) < 128
    np.testing.assert_array_equal(image[known], before[known])
