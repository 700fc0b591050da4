"""Tokens of the working image, and the positions of both transformers (DGTS, Sec. 3.1 and 3.2)."""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import XavierUniform, initializer

PATCH = 8  # side of a patch, in pixels of the working image


def to_patches(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, N, C 8 8), patches row by row."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels, height // PATCH, PATCH, width // PATCH, PATCH)
    return x.transpose(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels * PATCH * PATCH)


def from_patches(patches: Tensor, channels: int) -> Tensor:
    """(B, N, C 8 8) -> (B, C, H, W) of a square image."""
    batch, count, _ = patches.shape
    side = int(count**0.5)
    x = patches.reshape(batch, side, side, channels, PATCH, PATCH).transpose(0, 3, 1, 4, 2, 5)
    return x.reshape(batch, channels, side * PATCH, side * PATCH)


class PatchEmbedding(nn.Cell):
    """One token for each patch: a convolution of stride 8, written as the matrix product it is.

    patches: (B, N, 3 8 8) -> (B, N, D)
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = Parameter(initializer(XavierUniform(), (dim, 3, PATCH, PATCH)))
        self.bias = Parameter(initializer("zeros", (dim,)))

    def construct(self, patches: Tensor) -> Tensor:
        return ops.dense(patches, self.weight.reshape(self.weight.shape[0], -1), self.bias)


def token_positions(side: int, dim: int) -> np.ndarray:
    """Positions of the patches: (side², dim). One half of the features tells the column, the other the row."""
    half = dim // 2
    frequency = np.exp(-np.arange(0, half, 2) * np.log(10000.0) / half)
    angle = np.arange(side)[:, None] * frequency
    return _grid(_interleave(angle), _interleave(angle), column_first=True)


def feature_positions(side: int, dim: int) -> np.ndarray:
    """DETR's positions of a feature map's pixels: (side², dim). One half tells the row, the other the column."""
    half = dim // 2
    frequency = 10000.0 ** (-np.arange(0, half, 2) / half)
    place = np.arange(1, side + 1) / (side + 1e-6) * 2 * np.pi
    features = _interleave(place[:, None] * frequency)
    return _grid(features, features, column_first=False)


def _interleave(angle: np.ndarray) -> np.ndarray:
    """Sine on even features, cosine on odd ones: (side, half / 2) -> (side, half)."""
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(len(angle), -1)


def _grid(rows: np.ndarray, columns: np.ndarray, column_first: bool) -> np.ndarray:
    """Features of rows and columns, (side, half) each -> of pixels in reading order, float32 (side², 2 half)."""
    side = len(rows)
    by_row = np.repeat(rows, side, axis=0)
    by_column = np.tile(columns, (side, 1))
    halves = (by_column, by_row) if column_first else (by_row, by_column)
    return np.concatenate(halves, axis=1).astype(np.float32)
