"""Orientation tags (EXIF): how viewers turn a stored image.

One rule for all entry points: an image is turned as viewers show it. So is a mask, by a tag of its own; one without a
tag is taken as the image is shown, unless it has the size of the stored image alone: then it is turned with it.
"""

import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

ORIENTATION = 274  # the tag
# Orientation -> axes that are reversed to show the image, after rows and columns changed places from 5 on.
FLIPS = {1: (), 2: (1,), 3: (0, 1), 4: (0,), 5: (), 6: (1,), 7: (0, 1), 8: (0,)}

# The same for Pillow. Not ImageOps.exif_transpose: it writes all tags anew.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def turned(image: Image.Image) -> Image.Image:
    """An image as its orientation tag says. image: as it was read from a file."""
    if image.format == "TIFF" or orientation_of(image) not in TURNS:  # Pillow turns TIFFs while reading
        return image
    return image.transpose(TURNS[orientation_of(image)])


def orientation_of(image: Image.Image) -> int:
    """A key of FLIPS. Where the tags are nonsense, or the number is, viewers turn nothing."""
    try:
        tag = image.getexif().get(ORIENTATION, 1)
    except (SyntaxError, struct.error):
        return 1
    return tag if tag in FLIPS else 1  # some cameras write 0


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels (H, W, ...) -> as viewers show them."""
    return np.flip(pixels.swapaxes(0, 1) if orientation >= 5 else pixels, FLIPS[orientation])


def as_stored(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The inverse of `upright`."""
    pixels = np.flip(pixels, FLIPS[orientation])
    return pixels.swapaxes(0, 1) if orientation >= 5 else pixels


@dataclass(frozen=True)
class Placement:
    """The (width, height) of the stored pixels, and the tag that says how viewers turn them."""

    stored: tuple[int, int]
    orientation: int = 1

    @property
    def shown(self) -> tuple[int, int]:
        return self.stored[::-1] if self.orientation >= 5 else self.stored

    @classmethod
    def of(cls, image: Image.Image) -> "Placement":
        """image: opened, not yet read, for Pillow turns TIFF files while reading and forgets the tag."""
        orientation = orientation_of(image)
        stored = (image.tag_v2[256], image.tag_v2[257]) if isinstance(image, TiffImageFile) else image.size
        return cls(stored, orientation)

    def with_image(self, mask: np.ndarray) -> np.ndarray:
        """A mask of the image, (H, W), by the rule above."""
        return upright(mask, self.orientation) if mask.shape[::-1] == self.stored != self.shown else mask
