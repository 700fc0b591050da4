"""Where to look in an image that was filled: around its largest hole."""

import cv2
import numpy as np


def around_hole(hole: np.ndarray, least: int) -> tuple[slice, slice]:
    """bool (H, W) -> rows and columns of a square around the largest connected hole, twice as long as that.

    least: its side at least. Where the image ends, it is moved, and cut if the image is smaller. Without a hole it is
    the whole image.
    """
    count, _, boxes, _ = cv2.connectedComponentsWithStats(hole.astype(np.uint8), connectivity=8)
    if count == 1:  # the surroundings alone
        return slice(0, hole.shape[0]), slice(0, hole.shape[1])
    left, top, width, height, _ = boxes[1 + np.argmax(boxes[1:, cv2.CC_STAT_AREA])].tolist()
    side = max(2 * max(width, height), least)
    return _centred(top, height, side, hole.shape[0]), _centred(left, width, side, hole.shape[1])


def _centred(begin: int, length: int, side: int, end: int) -> slice:
    """`side` pixels with the middle of begin … begin + length, or as near to it as 0 … end lets them."""
    side = min(side, end)
    first = min(max(begin + (length - side) // 2, 0), end - side)
    return slice(first, first + side)
