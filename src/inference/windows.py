"""The part of a picture that a network sees, and how it gets to the network's size."""

import numpy as np
from PIL import Image

from src.data.images import prepare_image


def window(hole: np.ndarray) -> tuple[slice, slice]:
    """The part of a picture that the network gets to see, given the hole: bool (H, W).

    A square with the hole in its middle, as large as the picture allows: it keeps the proportions and more of the
    resolution. The whole picture, to be squashed, where the hole does not fit into such a square or would fill most of
    it.
    """
    side = min(hole.shape)
    part = []
    for axis, length in enumerate(hole.shape):
        inside = np.flatnonzero(hole.any(axis=1 - axis))
        start = (inside[0] + inside[-1] + 1 - side) // 2
        start = int(np.clip(start, 0, length - side))
        part.append(slice(start, start + side))
    part = tuple(part)
    fits = np.count_nonzero(hole[part]) == np.count_nonzero(hole)
    return part if fits and hole[part].mean() <= 0.5 else (slice(None), slice(None))


def shrink(picture: np.ndarray, hole: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Picture and mask at the network's size, where True is known.

    picture: uint8 (H, W, 3); hole: bool (H, W) -> image: uint8 (S, S, 3), known: bool (S, S)

    Nearest neighbour would lose thin holes and let their content into the known pixels around. So a pixel that mixes
    hole and known takes the mean of the known ones alone, and is known itself where they are at least half of it.
    """
    image = prepare_image(Image.fromarray(picture), size)
    if hole.shape == (size, size):
        return image, ~hole
    weight = resize_plane(~hole, size)
    means = [resize_plane(channel * ~hole, size) / np.maximum(weight, 1e-6) for channel in np.moveaxis(picture, -1, 0)]
    mixed = (weight > 0) & (weight < 1)
    image = np.where(mixed[..., None], np.rint(np.stack(means, axis=-1)), image).astype(np.uint8)
    return image, weight >= 0.5


def resize_plane(plane: np.ndarray, size: int) -> np.ndarray:
    """(H, W) -> float32 (S, S), with the filter that pictures are resized with."""
    plane = Image.fromarray(plane.astype(np.float32))
    return np.asarray(plane.resize((size, size), Image.Resampling.BILINEAR))
