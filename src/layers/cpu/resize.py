"""Doubling of feature maps."""

import numpy as np
from mindspore import Tensor, nn, ops


class UpsampleBilinear(nn.Cell):
    """The backward is two products with the matrix that doubles one axis: a fifth of the time of MindSpore's."""

    def __init__(self, align_corners: bool = False) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.resize = ops.ResizeBilinearV2(align_corners, half_pixel_centers=not align_corners)
        self.product, self.products, self.repeat = ops.MatMul(), ops.BatchMatMul(transpose_a=True), ops.Tile()

    def construct(self, x: Tensor) -> Tensor:
        return self.resize(x, (2 * x.shape[2], 2 * x.shape[3]))

    def bprop(self, x: Tensor, out: Tensor, dout: Tensor) -> tuple:
        batch, channels, height, width = x.shape
        maps = batch * channels
        dx = self.product(dout.reshape(2 * maps * height, 2 * width), doubling(width, self.align_corners))
        rows = ops.depend(doubling(height, self.align_corners), dout)
        rows = self.repeat(rows.reshape(1, 2 * height, height), (maps, 1, 1))
        return (self.products(rows, dx.reshape(maps, 2 * height, width)).reshape(x.shape),)


@ops.constexpr
def doubling(size: int, align_corners: bool) -> Tensor:
    """The matrix that doubles one axis of a map: (2 size, size)."""
    places = np.arange(2 * size)
    places = places * (size - 1) / (2 * size - 1) if align_corners else (places + 0.5) / 2 - 0.5
    distance = np.abs(places.clip(0, size - 1)[:, None] - np.arange(size))
    return Tensor(np.maximum(1 - distance, 0).astype(np.float32))


def upsample_nearest(x: Tensor) -> Tensor:
    """Twice as fast as ops.interpolate."""
    batch, channels, height, width = x.shape
    columns = ops.stack((x, x), 4).reshape(batch, channels, height, 2 * width)
    return ops.stack((columns, columns), 3).reshape(batch, channels, 2 * height, 2 * width)


def over_channels(x: Tensor, channels: int) -> Tensor:
    """A copy, and then a plain product, take a fifth to a tenth of the time of a broadcasting product."""
    return ops.tile(x, (1, channels) + (1,) * (x.ndim - 2))
