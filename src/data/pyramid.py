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
    """An image and what is known of it, at half the size: (H, W, C), bool (H, W) -> float32 (h, w, C), bool (h, w).

    A pixel is the mean of the known pixels that it covers, and known where they are at least half of them. Odd sides
    are continued by their last pixel.
    """
    height, width = known.shape
    margins = [(0, height % 2), (0, width % 2)]
    if height % 2 or width % 2:
        image, known = np.pad(image, [*margins, (0, 0)], "edge"), np.pad(known, margins, "edge")
    weight = known.astype(np.float32)
    share = _mean_of_four(weight)
    sums = _mean_of_four(np.where(known[..., None], image, 0).astype(np.float32))
    return sums / np.maximum(share, 1e-6)[..., None], share >= 0.5


def double(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Twice the size, cubic, the inverse of `halve` in place: float32 (h, w, C) -> (H, W, C) of `shape`."""
    height, width = image.shape[:2]
    return cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)[: shape[0], : shape[1]]


def _mean_of_four(x: np.ndarray) -> np.ndarray:
    return (x[::2, ::2] + x[::2, 1::2] + x[1::2, ::2] + x[1::2, 1::2]) * np.float32(0.25)
