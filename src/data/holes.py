"""Drawn holes for training: those that filling by scales asks a network to fill (src/data/pyramid.py).

Strokes, scratches and blobs of all widths, cut out of a larger drawing, so that a hole may go on beyond the window.
What is deeper in them than the radius of a window is known, from a coarser filling.
"""

import math

import cv2
import numpy as np

from .masks import draw_strokes
from .pyramid import depth, fill_radius

NARROWEST = 3.0  # pixels: scratches
WIDEST = 8.0  # times the radius
SMALLEST_SHARE = 0.02  # of a window that is to be filled
LARGEST_SHARE = 0.7  # of a window that is to be filled, or known only from a coarser filling
LARGEST_BLUR = 6.0  # pixels: standard deviation of what a coarser filling lacks
LARGEST_TINT = 6.0  # levels of 255: standard deviation by which a coarser filling is off


def draw_window(rng: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
    """What a window shows of drawn holes -> band, deep: bool (side, side) each.

    band: to be filled, within the radius of something known; deep: known from a coarser filling alone.
    """
    radius, corner = fill_radius(side), side // 2
    while True:
        hole = _draw(rng, 2 * side, radius)
        far = depth(hole) > radius
        hole, far = (x[corner : corner + side, corner : corner + side] for x in (hole, far))
        band = hole & ~far
        if band.mean() >= SMALLEST_SHARE and hole.mean() <= LARGEST_SHARE:
            return band, far


def _draw(rng: np.random.Generator, side: int, radius: int) -> np.ndarray:
    """bool (side, side), True = hole"""
    kind = rng.uniform()
    if kind < 0.15:
        return _scratches(rng, side)
    if kind < 0.65:
        width = NARROWEST * (WIDEST * radius / NARROWEST) ** rng.uniform()
        return draw_strokes(rng, (side, side), 0.05, 0.45, (0.7 * width, 1.4 * width))
    return _blobs(rng, side, radius)


def _scratches(rng: np.random.Generator, side: int) -> np.ndarray:
    """Long thin lines, slightly bent, and specks."""
    hole = np.zeros((side, side), np.uint8)
    for _ in range(rng.integers(1, 6)):
        angle, bend, width = rng.uniform(0, 2 * math.pi), rng.normal(0, 0.1), int(rng.integers(2, 17))
        x, y = rng.uniform(0, side, 2)
        for _ in range(int(rng.integers(4, 16))):
            start, angle = (round(x), round(y)), angle + bend
            x, y = x + side / 12 * math.cos(angle), y + side / 12 * math.sin(angle)
            cv2.line(hole, start, (round(x), round(y)), (1,), width)
    for _ in range(rng.integers(0, 30)):
        centre = rng.integers(0, side, 2).tolist()
        cv2.circle(hole, centre, int(rng.integers(1, 8)), (1,), -1)
    return hole.astype(bool)


def _blobs(rng: np.random.Generator, side: int, radius: int) -> np.ndarray:
    """Ellipses, rectangles and polygons, from letters to objects that fill the window."""
    hole = np.zeros((side, side), np.uint8)
    extent = 0.5 * radius * (2 * WIDEST) ** rng.uniform()
    most = max(1, round(0.3 * (side / (2 * extent)) ** 2))
    for _ in range(rng.integers(1, 1 + min(12, most))):
        centre = rng.uniform(0, side, 2)
        axes = extent * np.exp(rng.normal(0, 0.35, 2))
        turn = float(rng.uniform(0, 180))
        shape = rng.integers(3)
        if shape == 0:
            points = cv2.ellipse2Poly(tuple(map(round, centre)), tuple(map(math.ceil, axes)), round(turn), 0, 360, 6)
        elif shape == 1:
            points = cv2.boxPoints((tuple(centre), tuple(2 * axes), turn))
        else:
            corners = rng.normal(0, 0.7, (int(rng.integers(4, 9)), 2))
            points = cv2.convexHull((centre + corners * axes).astype(np.float32))
        cv2.fillPoly(hole, [np.round(points).astype(np.int32)], (1,))
    return hole.astype(bool)


def coarser_filling(rng: np.random.Generator, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """What a coarser filling would have made of an image in its holes, roughly: blurred, and off in colour.

    image: uint8 (H, W, 3); hole: bool (H, W) -> uint8 (H, W, 3); the farther inside, the more of both
    """
    height, width = hole.shape
    near = cv2.resize(cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA), (width, height))
    blur = LARGEST_BLUR ** rng.uniform()
    near = cv2.GaussianBlur(near, (0, 0), 0.6 * blur).astype(np.float32)
    far = cv2.GaussianBlur(image, (0, 0), 2.0 * blur).astype(np.float32)
    inside = np.minimum(depth(hole) / (2 * fill_radius(height)), 1)[..., None]
    tint = cv2.resize(rng.normal(0, 1, (3, 3, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    tint = tint.mean(2, keepdims=True) + 0.3 * tint  # mostly lighter or darker
    result = (1 - inside) * near + inside * far + rng.uniform(0, LARGEST_TINT) * inside * tint
    return np.rint(result).clip(0, 255).astype(np.uint8)
