"""Scales of an image with holes: what filling by scales (src/inference) does, and what its training has to show.

Holes deeper than `fill_radius` are filled coarse to fine. At each scale a network fills the band of a hole that is
within the radius of something known; what is deeper counts as known there, with what the next coarser scale made of it.
"""

import cv2
import numpy as np


def fill_radius(image_size: int) -> int:
    """Depth in pixels up to which a network that sees squares of `image_size` fills holes at one scale."""
    return image_size * 5 // 32


def depth(hole: np.ndarray) -> np.ndarray:
    """bool (H, W) -> float32 (H, W): the distance of each pixel of a hole to the nearest known one, in pixels.

    Without any known pixel, all are infinitely deep.
    """
    if hole.all():
        return np.full(hole.shape, np.inf, np.float32)
    return cv2.distanceTransform(hole.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def halve(image: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An image and what is known of it, at half the size: (H, W, 3), bool (H, W) -> float32 (h, w, 3), bool (h, w).

    A pixel is the mean of the known pixels that it covers, 0 without any. It is known where all four are, or where two
    are and no neighbour knows all: the mean of two is off the pixel's middle, which shows on slopes, but is all that is
    left of a line. Beyond odd sides nothing is known. What unknown pixels hold does not matter.
    """
    height, width = known.shape
    if height % 2 or width % 2:
        margins = [(0, height % 2), (0, width % 2)]
        image, known = np.pad(image, [*margins, (0, 0)]), np.pad(known, margins)
    count = _sum_of_four(known.view(np.uint8), np.uint8)
    sums = _sum_of_four(image * known[..., None], np.float32)
    near = cv2.dilate((count == 4).view(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return sums / np.maximum(count, 1)[..., None], (count == 4) | (count >= 2) & ~near


def double(image: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """A part of an image at twice the size, cubic; `halve` gives its pixels back: float32 (h, w, 3) -> part."""
    parts = []
    for part, length in zip((rows, columns), image.shape[:2], strict=True):
        start = max(0, part.start // 2 - 2)  # two pixels on each side, which cubic interpolation looks at
        parts.append(slice(start, min(length, (part.stop + 1) // 2 + 2)))
    small = image[parts[0], parts[1]]
    size = 2 * small.shape[1], 2 * small.shape[0]
    top, left = rows.start - 2 * parts[0].start, columns.start - 2 * parts[1].start
    large = cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)
    return large[top : top + rows.stop - rows.start, left : left + columns.stop - columns.start]


def _sum_of_four(x: np.ndarray, dtype: type) -> np.ndarray:
    total: np.ndarray = x[::2, ::2].astype(dtype)
    for part in (x[::2, 1::2], x[1::2, ::2], x[1::2, 1::2]):
        total += part
    return total
