"""Filling the holes of one picture, window by window, coarse to fine."""

from collections.abc import Generator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from src.inference.windows import Box, Planner, Window, shrink


class Sample(NamedTuple):
    """What a network is to complete: image, uint8 (S, S, 3); known, bool (S, S)."""

    image: np.ndarray
    known: np.ndarray


# Yields samples that do not depend on each other, gets their completions: float32 (S, S, 3), 0 … 255.
Filling = Generator[list[Sample], Sequence[np.ndarray], np.ndarray]


def fill_in_windows(picture: np.ndarray, hole: np.ndarray, planner: Planner) -> Filling:
    """picture: uint8 or uint16 (H, W, 3); hole: bool (H, W) -> the same with its holes filled, nothing else changed.

    First every hole is filled once, at the finest level that shows enough of what is known around it. What was filled
    at a coarser level is then filled again at the next finer one, block by block: around a block the coarser filling
    counts as known. Blocks that touch take turns, so that each sees what its neighbours became.
    """
    canvas = Canvas(picture, hole)
    windows, large = planner.plan()
    canvas.paste(windows, (yield [canvas.sample(window) for window in windows]))
    for level in reversed(range(max((one.level for one in large), default=0))):
        finer = [window for one in large if one.level > level for window in planner.covering(one, level)]
        for turn in range(4):
            windows = [window for window in finer if window.turn == turn]
            if windows:
                outputs = yield [canvas.sample(window, around=True) for window in windows]
                canvas.paste(windows, outputs, over=True)
    return canvas.picture


class Canvas:
    """A picture while it is being filled: uint8 or uint16 (H, W, 3); hole: bool (H, W)."""

    def __init__(self, picture: np.ndarray, hole: np.ndarray) -> None:
        self.picture, self.hole = picture.copy(), hole
        self.scale = np.iinfo(picture.dtype).max / 255

    def sample(self, window: Window, around: bool = False) -> Sample:
        """What the network sees in a window. around: what was filled around its block counts as known."""
        view = window.view
        hole = self.hole[view.part]
        if around:
            block = self._with_margin(window)
            rows, columns = block.moved(-view.top, -view.left).part
            inside = np.zeros_like(hole)
            inside[rows, columns] = hole[rows, columns]
            hole = inside
        height, width = _shown(window)
        image, known = shrink(self.picture[view.part], hole, height, width)
        # A picture smaller than the window goes on beyond its border as its mirror image.
        margins = [(before, window.side - length - before) for before, length in zip(*_places(window), strict=True)]
        image = np.pad(np.rint(image / self.scale).astype(np.uint8), [*margins, (0, 0)], "symmetric")
        return Sample(image, np.pad(known, margins, "symmetric"))

    def paste(self, windows: Sequence[Window], outputs: Sequence[np.ndarray], over: bool = False) -> None:
        """Put completions into the holes in their blocks, blended where blocks meet.

        over: onto an earlier filling, which takes over towards the end of a block's margin.
        """
        blocks = [self._with_margin(window) for window in windows]
        for members in _clusters(blocks):
            whole = blocks[members[0]]
            for i in members[1:]:
                whole = whole.joined(blocks[i])
            total = np.zeros((whole.bottom - whole.top, whole.right - whole.left, 4), np.float32)
            for i in members:
                weight = _weight(windows[i], blocks[i])[..., None]
                place = total[blocks[i].moved(-whole.top, -whole.left).part]
                place[..., :3] += weight * _enlarged(windows[i], blocks[i], outputs[i])
                place[..., 3:] += weight
            here = self.hole[whole.part] & (total[..., 3] > 0)
            picture, total = self.picture[whole.part], total[here]
            filled, weight = total[:, :3] / total[:, 3:] * self.scale, np.minimum(total[:, 3:], 1)
            if over:
                filled = weight * filled + (1 - weight) * picture[here]
            picture[here] = np.rint(filled).clip(0, 255 * self.scale).astype(picture.dtype)

    def _with_margin(self, window: Window) -> Box:
        return window.block.grown(_margin(window), self.hole.shape)


def _margin(window: Window) -> int:
    """Pixels of the picture over which neighbouring blocks are blended."""
    return window.side * 2**window.level // 16


def _shown(window: Window) -> tuple[int, int]:
    """Height and width of what a window shows of the picture, in its own pixels."""
    top, left, bottom, right = window.view
    return tuple(min(window.side, max(1, round(length / 2**window.level))) for length in (bottom - top, right - left))


def _places(window: Window) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where that begins, and how large it is: (top, left), (height, width)."""
    shown = _shown(window)
    return tuple((window.side - length) // 2 for length in shown), shown


def _enlarged(window: Window, block: Box, output: np.ndarray) -> np.ndarray:
    """The part of a completion, (S, S, 3), that belongs to a block, at the resolution of the picture: (h, w, 3)."""
    (top, left), (height, width) = _places(window)
    view, size = window.view, (block.right - block.left, block.bottom - block.top)
    y, x = height / (view.bottom - view.top), width / (view.right - view.left)
    if x == y == 1:
        return output[block.moved(top - view.top, left - view.left).part]
    # Centres of pixels: one at place p of the block lies at (p + start + 0.5) * ratio - 0.5 of what is shown.
    across, down = (block.left - view.left + 0.5) * x - 0.5 + left, (block.top - view.top + 0.5) * y - 0.5 + top
    matrix = np.array([[x, 0, across], [0, y, down]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(output, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT)


def _weight(window: Window, block: Box) -> np.ndarray:
    """(h, w) of a block with its margin: 1 inside, falling towards the end of the margin."""
    ramps = []
    for first, last, start, end in zip(window.block[:2], window.block[2:], block[:2], block[2:], strict=True):
        place = np.arange(start, end) + 0.5
        outside = np.maximum(first - place, place - last).clip(0)
        ramps.append(1 - outside / (_margin(window) + 1))
    return np.outer(*ramps).astype(np.float32)


def _clusters(blocks: Sequence[Box]) -> list[list[int]]:
    """Indices of blocks that overlap, directly or through others: memory follows the holes, not the picture."""
    clusters = []  # (box around, members)
    for i, block in enumerate(blocks):
        members = [i]
        box, apart = block, []
        for other in clusters:
            if other[0].meets(box):
                box, members = box.joined(other[0]), other[1] + members
            else:
                apart.append(other)
        clusters = [*apart, (box, members)]
    return [members for _, members in clusters]
