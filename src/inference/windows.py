"""Where a network looks at a picture: windows around its holes, at the picture's own resolution where holes fit.

A hole is filled in blocks, each in the middle of a window twice as wide, so that at least half of what the network sees
around a block is known. A hole too thick for that is filled at half the resolution first, or a quarter, and so on.

A window of level k is `side` pixels wide at 1 / 2**k of the picture's resolution. Coordinates are the picture's.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

GAP = 16  # pixels: holes nearer than that are one
LARGEST_SIDE = 512  # of a window, where the network takes any size; more costs more than it shows
STEP = 128  # from one such side to the next, at least


class Box(NamedTuple):
    """Rows top … bottom - 1, columns left … right - 1."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def part(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def extent(self) -> int:
        """The longer side."""
        return max(self.bottom - self.top, self.right - self.left)

    def meets(self, other: "Box") -> bool:
        return all(np.less(self[:2], other[2:])) and all(np.less(other[:2], self[2:]))

    def joined(self, other: "Box") -> "Box":
        return Box(*np.minimum(self[:2], other[:2]).tolist(), *np.maximum(self[2:], other[2:]).tolist())

    def moved(self, down: int, right: int) -> "Box":
        return Box(self.top + down, self.left + right, self.bottom + down, self.right + right)

    def grown(self, margin: int, shape: tuple[int, int]) -> "Box":
        """`margin` more on each side, as far as the picture goes."""
        return Box(
            max(0, self.top - margin),
            max(0, self.left - margin),
            min(shape[0], self.bottom + margin),
            min(shape[1], self.right + margin),
        )


class Window(NamedTuple):
    """What the network sees, and the block in it that it is asked to fill."""

    view: Box
    block: Box
    level: int
    side: int
    turn: int = 0  # 0 … 3: blocks of one hole that have the same turn do not touch


class Hole(NamedTuple):
    """A hole that needs several windows, or a coarse one first."""

    box: Box
    level: int
    side: int


def window_sides(image_size: int, multiple: int = 0) -> tuple[int, ...]:
    """Sides of windows that a network trained at `image_size` takes, the smallest first.

    multiple: what sides have to be multiples of; 0 where the network takes `image_size` alone.
    """
    if not multiple:
        return (image_size,)
    step = multiple * -(-STEP // multiple)
    smallest = max(image_size, 2 * step)
    return tuple(range(smallest, max(smallest, LARGEST_SIDE) + 1, step))


def hole_boxes(hole: np.ndarray, gap: int = GAP) -> list[Box]:
    """The boxes around the holes of a picture, bool (H, W), holes nearer than `gap` counted as one."""
    joined = cv2.dilate(hole.view(np.uint8), np.ones((gap + 1, gap + 1), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    boxes = []
    for left, top, width, height, _ in stats[1:].tolist():
        rows, columns = (np.flatnonzero(hole[top : top + height, left : left + width].any(axis)) for axis in (1, 0))
        boxes.append(Box(top + rows[0], left + columns[0], top + rows[-1] + 1, left + columns[-1] + 1))
    return [Box(*map(int, box)) for box in boxes]


def view_around(block: Box, extent: int, shape: tuple[int, int]) -> Box:
    """The square of `extent` pixels with `block` in its middle, moved into the picture; cut off where it is larger."""
    corners = []
    for start, end, length in zip(block[:2], block[2:], shape, strict=True):
        first = min(max(0, (start + end - extent) // 2), max(0, length - extent))
        corners.append((first, min(length, first + extent)))
    (top, bottom), (left, right) = corners
    return Box(top, left, bottom, right)


class Planner:
    """Plans the windows for the holes of one picture: bool (H, W)."""

    def __init__(self, hole: np.ndarray, sides: Sequence[int], image_size: int) -> None:
        self.hole, self.shape = hole, hole.shape
        self.sides, self.image_size = tuple(sides), image_size
        self.sums = cv2.integral(hole.view(np.uint8))

    def count(self, box: Box) -> int:
        """Pixels of the hole in a box."""
        top, left, bottom, right = box
        return int(self.sums[bottom, right] - self.sums[top, right] - self.sums[bottom, left] + self.sums[top, left])

    def mostly_known(self, view: Box) -> bool:
        height, width = view.bottom - view.top, view.right - view.left
        return 2 * self.count(view) <= height * width

    def plan(self) -> tuple[list[Window], list[Hole]]:
        """The windows that fill every hole once, and the holes among them that are not small."""
        whole = Box(0, 0, *self.shape)
        for side in (self.image_size, *self.sides):
            if whole.extent <= side:  # as in training, if it is no larger than the pictures there
                return [Window(whole, whole, 0, side)], []
        small, large, covering = [], [], []
        for box in hole_boxes(self.hole):
            side = next((side for side in self.sides if 2 * box.extent <= side), None)
            if side and self.mostly_known(view_around(box, side, self.shape)):
                small.append((box, side))
            else:
                hole, windows = self._coarsest(box)
                large.append(hole)
                covering += windows
        return self._shared(small) + covering, large

    def covering(self, hole: Hole, level: int) -> list[Window]:
        """Blocks of half a window's width that cover a hole; one block where a window shows the whole picture."""
        step = hole.side * 2**level // 2
        if 2 * step >= max(self.shape):
            return [Window(Box(0, 0, *self.shape), hole.box, level, hole.side)]
        windows = []
        for i, (top, bottom) in enumerate(_cut(hole.box.top, hole.box.bottom, step)):
            for j, (left, right) in enumerate(_cut(hole.box.left, hole.box.right, step)):
                block = Box(top, left, bottom, right)
                if self.count(block):
                    view, turn = view_around(block, 2 * step, self.shape), 2 * (i % 2) + j % 2
                    windows.append(Window(view, block, level, hole.side, turn))
        return windows

    def _coarsest(self, box: Box) -> tuple[Hole, list[Window]]:
        """The finest level at which all windows over a hole show enough that is known, or all there is; its windows."""
        hole = Hole(box, 0, self.sides[0])
        while True:
            windows = self.covering(hole, hole.level)
            whole = hole.side * 2**hole.level >= max(self.shape)
            if whole or all(self.mostly_known(window.view) for window in windows):
                return hole, windows
            hole = hole._replace(level=hole.level + 1)

    def _shared(self, small: list[tuple[Box, int]]) -> list[Window]:
        """Windows for small holes: several in one where they fit, so that specks do not cost a window each."""
        windows = []
        for side in self.sides:
            waiting = sorted(box for box, needed in small if needed == side)
            while waiting:
                block, rest = waiting[0], []
                for box in waiting[1:]:
                    union = block.joined(box)
                    if 2 * union.extent <= side and self.mostly_known(view_around(union, side, self.shape)):
                        block = union
                    else:
                        rest.append(box)
                windows.append(Window(view_around(block, side, self.shape), block, 0, side))
                waiting = rest
        return windows


def _cut(start: int, end: int, step: int) -> list[tuple[int, int]]:
    """Parts of equal length, none longer than `step`."""
    count = -(-(end - start) // step)
    ends = [start + (end - start) * i // count for i in range(count + 1)]
    return list(itertools.pairwise(ends))


def shrink(picture: np.ndarray, hole: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture and what is known of it, smaller.

    picture: uint8 or uint16 (H, W, 3); hole: bool (H, W) -> float32 (height, width, 3), known: bool (height, width)

    Nearest neighbour would lose thin holes and let their content into the known pixels around. So a pixel that mixes
    hole and known takes the mean of the known ones alone, and is known itself where they are at least half of it.
    """
    if hole.shape == (height, width):
        return picture.astype(np.float32), ~hole
    weight = _resized(~hole, height, width)
    channels = np.moveaxis(picture, -1, 0)
    means = [_resized(channel * ~hole, height, width) / np.maximum(weight, 1e-6) for channel in channels]
    plain = [_resized(channel, height, width) for channel in channels]
    return np.where(weight[..., None] > 0, np.stack(means, -1), np.stack(plain, -1)), weight >= 0.5


def _resized(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W) -> float32 (height, width), each pixel a mean over all that it covers."""
    plane = Image.fromarray(plane.astype(np.float32))
    return np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR))
