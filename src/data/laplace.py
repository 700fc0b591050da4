"""Laplace's equation in the holes of images: their borders, continued as smoothly as can be."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu


def solve_laplace(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """In the hole, every pixel is the mean of its neighbours above, below, left and right, as far as there are.

    values: (H, W, C); hole: bool (H, W), not everywhere -> float64 (H, W, C)
    """
    pixels = np.arange(hole.size).reshape(hole.shape)
    beside, below = (pixels[:, :-1], pixels[:, 1:]), (pixels[:-1], pixels[1:])
    first, second = (np.concatenate([a.ravel(), b.ravel()]) for a, b in zip(beside, below, strict=True))
    pairs = np.stack([np.concatenate([first, second]), np.concatenate([second, first])])
    pixel, neighbour = pairs[:, hole.flat[pairs[0]]]  # each pixel of the hole with each of its neighbours
    equation, count = np.cumsum(hole) - 1, np.count_nonzero(hole)
    row, unknown = equation[pixel], hole.flat[neighbour]

    diagonal = np.arange(count)
    entries = np.concatenate([np.bincount(row, minlength=count), -np.ones(np.count_nonzero(unknown))])
    rows = np.concatenate([diagonal, row[unknown]])
    columns = np.concatenate([diagonal, equation[neighbour[unknown]]])
    solve = splu(coo_array((entries, (rows, columns)), shape=(count, count)).tocsc()).solve

    result = values.astype(float)
    for channel in range(values.shape[2]):
        known = values[..., channel].flat[neighbour[~unknown]]
        result[..., channel][hole] = solve(np.bincount(row[~unknown], known, minlength=count))
    return result
