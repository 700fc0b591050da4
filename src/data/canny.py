"""Canny's edges, bit by bit those of skimage.feature.canny, which the published pipeline uses, in less time.

What can be had for less without another rounding anywhere: the Gaussian of the area inside the image is the same for
all images of a size, the Sobel filters are sums of shifted arrays, and only pixels above the lower threshold are
compared with their neighbours.
"""

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

Smooth = Callable[[np.ndarray, float], np.ndarray]

LOW, HIGH = 0.1, 0.2  # thresholds of the gradient's magnitude: skimage's


def canny(gray: np.ndarray, sigma: float, known: np.ndarray | None = None, exact: bool = True) -> np.ndarray:
    """float64 (H, W) -> bool (H, W), True on edges after a Gaussian of `sigma` pixels.

    known: bool (H, W); with it, what lies elsewhere is not looked at, and there are no edges beside it
    exact: else OpenCV's Gaussian, in half the time: it rounds in another order, by which edges may differ where
    neighbours are equal, as in drawings; on photos none did
    """
    smooth = _smooth if exact else _smooth_fast
    if known is None:
        smoothed = smooth(gray, sigma) / _inside(gray.shape, sigma, smooth)
        known = np.ones(gray.shape, bool)
    else:
        smoothed = smooth(np.where(known, gray, 0), sigma) / _share(known, sigma, smooth)
    down, right = _sobel(smoothed)
    magnitude = np.sqrt(down * down + right * right)
    inner = cv2.erode(
        known.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=(0,)
    )
    places = np.flatnonzero((magnitude >= LOW) & (inner > 0))
    places = places[_is_ridge(places, down, right, magnitude)]

    # Of the ridges those that are high somewhere.
    ridges, edges = np.zeros(gray.shape, np.uint8), np.zeros(gray.shape, bool)
    ridges.ravel()[places] = 1
    count, labels = cv2.connectedComponents(ridges, connectivity=8)
    labels, is_edge = labels.ravel()[places], np.zeros(count, bool)
    is_edge[labels[magnitude.ravel()[places] >= HIGH]] = True
    edges.ravel()[places] = is_edge[labels]
    return edges


def _smooth(image: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian_filter(image, sigma, mode="constant")


def _smooth_fast(image: np.ndarray, sigma: float) -> np.ndarray:
    radius = int(4 * sigma + 0.5)  # as far as scipy's
    kernel = np.exp(-0.5 / (sigma * sigma) * np.arange(-radius, radius + 1) ** 2)
    kernel /= kernel.sum()
    return cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_CONSTANT)


def _share(known: np.ndarray, sigma: float, smooth: Smooth) -> np.ndarray:
    """How much of the Gaussian around each pixel is known."""
    return smooth(known.astype(np.float64), sigma) + np.finfo(np.float64).eps


@lru_cache(maxsize=4)
def _inside(shape: tuple[int, int], sigma: float, smooth: Smooth) -> np.ndarray:
    """How much of the Gaussian around each pixel is inside the image."""
    return _share(np.ones(shape, bool), sigma, smooth)


def _sobel(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) -> how much it grows downwards and to the right."""
    padded = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    down, right = padded[2:] - padded[:-2], padded[:, 2:] - padded[:, :-2]
    return 2 * down[:, 1:-1] + (down[:, :-2] + down[:, 2:]), 2 * right[1:-1] + (right[:-2] + right[2:])


def _is_ridge(places: np.ndarray, down: np.ndarray, right: np.ndarray, magnitude: np.ndarray) -> np.ndarray:
    """Is the magnitude, along the gradient, nowhere larger next to the pixel? Between pixels it is interpolated.

    places: indices (N,) into the flattened arrays (H, W), none at the border -> bool (N,)
    """
    width, y, x, here = magnitude.shape[1], down.take(places), right.take(places), magnitude.take(places)
    row = np.where((y >= 0) == (x >= 0), width, -width)  # to the right along the gradient is in this row
    y, x = np.abs(y), np.abs(x)
    straight, diagonal = np.where(y > x, row, 1), row + 1
    share = np.minimum(y, x) / np.maximum(y, x)  # of the diagonal neighbour
    rest = 1 - share
    after = magnitude.take(places + diagonal) * share + magnitude.take(places + straight) * rest
    before = magnitude.take(places - diagonal) * share + magnitude.take(places - straight) * rest
    return (before <= here) & (after <= here)
