"""Where a network looks at an image: regions around its holes, and in a region windows over what is to be filled."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from ..data.pyramid import depth, fill_radius

GAP = 16  # pixels: holes nearer than that are one


class Box(NamedTuple):
    """Rows top … bottom - 1, columns left … right - 1."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def part(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def meets(self, other: "Box") -> bool:
        return all(np.less(self[:2], other[2:])) and all(np.less(other[:2], self[2:]))

    def joined(self, other: "Box") -> "Box":
        return Box(*np.minimum(self[:2], other[:2]).tolist(), *np.maximum(self[2:], other[2:]).tolist())

    def grown(self, margin: int, shape: Sequence[int]) -> "Box":
        """`margin` more on each side, as far as the image goes."""
        return Box(
            max(0, self.top - margin),
            max(0, self.left - margin),
            min(shape[0], self.bottom + margin),
            min(shape[1], self.right + margin),
        )


def regions(hole: np.ndarray, side: int) -> list[Box]:
    """Boxes that do not meet, with every hole in one and all around it that windows of `side` pixels show.

    hole: bool (H, W). At the scale that a hole's depth asks for, half a window fits between it and its region's border.
    """
    grown = []
    for box in hole_boxes(hole):
        deepest = float(depth(hole[box.grown(1, hole.shape).part]).max())
        levels = math.ceil(math.log2(max(1.0, min(deepest, max(hole.shape)) / fill_radius(side))))
        grown.append(box.grown(side * 2**levels // 2, hole.shape))
    return _without_overlap(grown)


def hole_boxes(hole: np.ndarray, gap: int = GAP) -> list[Box]:
    """The boxes around the holes of an image, bool (H, W), holes nearer than `gap` counted as one."""
    joined = cv2.dilate(hole.view(np.uint8), np.ones((gap + 1, gap + 1), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    boxes = []
    for left, top, width, height, _ in stats[1:].tolist():
        rows, columns = (np.flatnonzero(hole[top : top + height, left : left + width].any(axis)) for axis in (1, 0))
        boxes.append(Box(top + rows[0], left + columns[0], top + rows[-1] + 1, left + columns[-1] + 1))
    return [Box(*map(int, box)) for box in boxes]


def _without_overlap(boxes: Sequence[Box]) -> list[Box]:
    """Boxes that meet become the box around both, until none do."""
    apart: list[Box] = []
    for box in boxes:
        while met := next((other for other in apart if other.meets(box)), None):
            apart.remove(met)
            box = box.joined(met)
        apart.append(box)
    return apart


def cover(target: np.ndarray, side: int, core: int) -> list[Box]:
    """Windows over a target, bool (H, W): each of its pixels is within the middle `core` pixels of a window.

    Except at the image's borders, where windows are moved inwards; they are smaller than `side` where the image is.
    Windows are placed one by one, from top to bottom: where the first pixel is that none covers yet, as many others as
    can be are covered with it.
    """
    left_over, windows, row = target.copy(), [], 0
    height, width = target.shape
    while row < height:
        columns = np.flatnonzero(left_over[row])
        if not len(columns):
            row += 1
            continue
        first = columns[0]
        start = max(0, first - core + 1)
        counts = left_over[row : row + core, start : first + core].sum(0)
        sums = np.convolve(counts, np.ones(core, np.int64))[core - 1 :][: first - start + 1]  # from each start on
        left = start + int(sums.argmax())
        part = left_over[row : row + core, left : left + core]
        rows, columns = (np.flatnonzero(part.any(axis)) for axis in (1, 0))
        middle = row + (rows[0] + rows[-1] + 1) // 2, left + (columns[0] + columns[-1] + 1) // 2
        part[:] = False
        top, left = (min(max(0, m - side // 2), max(0, n - side)) for m, n in zip(middle, target.shape, strict=True))
        windows.append(Box(top, left, min(height, top + side), min(width, left + side)))
    return [Box(*map(int, window)) for window in windows]
