"""Filling the holes of one image by scales (see src/data/pyramid.py), each in windows that overlap."""

from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import NamedTuple

import cv2
import numpy as np

from ..data.laplace import solve_laplace
from ..data.pyramid import depth, double, fill_radius, halve
from .windows import Box, cover, regions

CORE = 5 / 8  # of a window's side: each pixel is filled at least once within this middle part of a window
FADE = 1 / 2  # of the depth that is filled: over so much a filling passes into the coarser or the smooth one
# Of a window's side: from half of this depth on the filling of a seamless network passes into a smooth one, where even
# the coarsest scale is deeper than the radius. There it would drift to colours of its own.
SMOOTH = 3 / 16
TOGETHER = 32  # windows that are cut out and filled before the next ones: memory follows them
STRIP = 256  # rows that are joined at once


class Sample(NamedTuple):
    """What a network is to complete: image, uint8 (S, S, 3); known, bool (S, S)."""

    image: np.ndarray
    known: np.ndarray


# Yields samples that do not depend on each other, gets their completions: float32 (S, S, 3), 0 … 255.
Filling = Generator[list[Sample], Sequence[np.ndarray], np.ndarray]
FillingInPlace = Generator[list[Sample], Sequence[np.ndarray], None]


def fill_by_scales(image: np.ndarray, hole: np.ndarray, side: int, seamless: bool = False) -> Filling:
    """image: uint8 or uint16 (H, W, 3); hole: bool (H, W) -> the same with its holes filled, nothing else changed.

    side: of the windows, the size of the images that the network was trained with. An image that fits into a window is
    seen whole. seamless: the network adds to a smooth filling (`--seamless true`), which takes over far from anything
    known.
    """
    if max(hole.shape) <= side:
        (output,) = yield [_sample(image, ~hole, side)]
        return np.where(hole[..., None], _as(_without_margins(output, hole.shape), image.dtype), image)
    result = image.copy()
    yield from _together([_fill_region(result, hole, region, side, seamless) for region in regions(hole, side)])
    return result


def count_windows(hole: np.ndarray, side: int) -> int:
    """How many samples fill_by_scales yields for a hole, bool (H, W), whatever the image shows."""
    if max(hole.shape) <= side:
        return 1
    parts = [hole[region.part] for region in regions(hole, side)]
    blanks = [np.zeros((*part.shape, 1), np.uint8) for part in parts]
    scales = [scale for blank, part in zip(blanks, parts, strict=True) for scale in _scales(blank, part, side)]
    return sum(len(_windows(scale.band(side), side)) for scale in scales)


def _fill_region(image: np.ndarray, hole: np.ndarray, region: Box, side: int, seamless: bool) -> FillingInPlace:
    """Fill the holes within a region of the image, in place."""
    image, hole = image[region.part], hole[region.part]
    *finer, coarsest = _scales(image, hole, side)
    filled = yield from coarsest.fill(None, side)
    if seamless:
        coarsest.smooth_deep(filled, side)
    for scale in reversed(finer):
        filled = yield from scale.fill(filled, side)
    image[hole] = _as(filled[hole], image.dtype)


def _scales(image: np.ndarray, hole: np.ndarray, side: int) -> list["Scale"]:
    """Of a region, from its own on to the coarsest."""
    scales = [Scale(image, hole, hole, fill_radius(side))]
    while not scales[-1].is_coarsest(side):
        scales.append(scales[-1].coarser())
    return scales


def _windows(band: np.ndarray, side: int) -> list[Box]:
    return cover(band, side, round(CORE * side))


class Scale:
    """A region at one scale: image, uint8, uint16 or float32 (H, W, 3); hole and needed, bool (H, W).

    needed: the part of the hole that is asked for: all of it, or what the next finer scale will look at.
    """

    def __init__(self, image: np.ndarray, hole: np.ndarray, needed: np.ndarray, radius: int) -> None:
        self.image, self.hole, self.needed, self.radius = image, hole, needed, radius
        self.depth = depth(hole)

    def is_coarsest(self, side: int) -> bool:
        """Is all of the hole within the radius, or the whole seen in one window?"""
        return self.depth.max() <= self.radius or max(self.hole.shape) <= side

    def coarser(self) -> "Scale":
        """At half the size."""
        image, known = halve(self.image, ~self.hole)
        image *= _unit(self.image.dtype)
        inner = (self.depth > self.radius * (1 - FADE)).astype(np.uint8)
        # Doubling looks at two pixels on each side of the one that it enlarges.
        needed = cv2.dilate(inner, np.ones((9, 9), np.uint8))[::2, ::2] > 0
        return Scale(image, ~known, ~known & needed, self.radius)

    def band(self, side: int) -> np.ndarray:
        """What is filled at this scale, bool (H, W): at the coarsest, holes of whatever depth."""
        return self.needed if self.is_coarsest(side) else self.needed & (self.depth <= self.radius)

    def fill(self, coarser: np.ndarray | None, side: int) -> Filling:
        """The image with its hole filled where it is needed: float32 (H, W, 3), 0 … 255.

        coarser: what the next coarser scale gave; None at the coarsest
        """
        band = self.band(side)
        unknown = self.hole & (self.depth <= self.radius) if coarser is not None else self.hole
        shape = self.hole.shape
        total = np.zeros((*shape, 4), np.float32)  # weighted sums of fillings, and of the weights
        windows = _windows(band, side)
        weight = _weight(side)
        for first in range(0, len(windows), TOGETHER):
            some = windows[first : first + TOGETHER]
            outputs = yield [_sample(self._content(window, coarser), ~unknown[window.part], side) for window in some]
            for window, output in zip(some, outputs, strict=True):
                view = total[window.part]
                w = _without_margins(weight, view.shape[:2])
                view[..., :3] += w * _without_margins(output, view.shape[:2])
                view[..., 3:] += w
        return self._joined(total, band, coarser)

    def smooth_deep(self, filled: np.ndarray, side: int) -> None:
        """Let a filling of the coarsest scale, float32 (H, W, 3), pass into a smooth one, in place."""
        if self.radius < self.depth.max() < np.inf:
            share = _share(self.depth, SMOOTH * side)[self.hole, None]
            smooth = solve_laplace(_levels(self.image), self.hole)[self.hole]
            filled[self.hole] = smooth + share * (filled[self.hole] - smooth)

    def _content(self, window: Box, coarser: np.ndarray | None) -> np.ndarray:
        """What a window shows, 0 … 255; in holes the coarser filling."""
        image = _levels(self.image[window.part])
        if coarser is None:
            return image
        return np.where(self.hole[window.part][..., None], double(coarser, *window.part), image)

    def _joined(self, total: np.ndarray, band: np.ndarray, coarser: np.ndarray | None) -> np.ndarray:
        """Known pixels, the filling of the band, and deeper the coarser one, into which it fades."""
        result = total[..., :3]
        for top in range(0, len(result), STRIP):  # in strips, for the sake of memory
            rows = slice(top, min(len(result), top + STRIP))
            strip = result[rows]
            np.divide(strip, total[rows][..., 3:], out=strip, where=band[rows][..., None])
            if coarser is not None:
                share = (_share(self.depth[rows], self.radius) * band[rows])[..., None]
                strip += (1 - share) * (double(coarser, rows, slice(0, result.shape[1])) - strip)
            np.copyto(strip, _levels(self.image[rows]), where=~self.hole[rows][..., None])
        return result


def _share(depth: np.ndarray, deepest: float) -> np.ndarray:
    """Of a filling that fades out over the FADE before a depth: float32, as depth, 0 … 1."""
    return ((deepest - depth) / (FADE * deepest)).clip(0, 1)


def _unit(dtype: np.dtype) -> np.float32:
    """Levels of 255 for each step of a type; floats count levels."""
    return np.float32(255 / np.iinfo(dtype).max if dtype.kind == "u" else 1)


def _levels(image: np.ndarray) -> np.ndarray:
    """uint8, uint16 or float32 -> float32, 0 … 255"""
    return image * _unit(image.dtype)


def _weight(side: int) -> np.ndarray:
    """Of a window's pixels, falling smoothly from its middle towards 0 outside: float32 (S, S, 1)."""
    hann = np.sin((np.arange(side) + 0.5) * np.pi / side) ** 2
    return np.outer(hann, hann).astype(np.float32)[..., None]


def _margins(shape: Sequence[int], side: int) -> list[tuple[int, int]]:
    """Of an image in the middle of a square: before and behind, for both axes."""
    return [((side - length) // 2, side - length - (side - length) // 2) for length in shape]


def _sample(image: np.ndarray, known: np.ndarray, side: int) -> Sample:
    """An image smaller than the window goes on beyond its borders as its mirror image."""
    margins = _margins(known.shape, side)
    image = np.rint(_levels(image)).clip(0, 255).astype(np.uint8)
    return Sample(np.pad(image, [*margins, (0, 0)], "symmetric"), np.pad(known, margins, "symmetric"))


def _without_margins(square: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    (top, _), (left, _) = _margins(shape, len(square))
    return square[top : top + shape[0], left : left + shape[1]]


def _as(filling: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """float32, 0 … 255 -> uint8 or uint16 over its whole range"""
    return np.rint(filling / _unit(dtype)).clip(0, np.iinfo(dtype).max).astype(dtype)


def _together(fillings: Sequence[FillingInPlace]) -> FillingInPlace:
    """Several fillings at once: what they wait for at the same time is yielded as one list."""
    waiting = [(filling, samples) for filling in fillings if (samples := next(filling, None)) is not None]
    while waiting:
        outputs = iter((yield [sample for _, samples in waiting for sample in samples]))
        going_on = []
        for filling, samples in waiting:
            with suppress(StopIteration):
                going_on.append((filling, filling.send([next(outputs) for _ in samples])))
        waiting = going_on
