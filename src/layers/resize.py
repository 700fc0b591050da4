"""Resizing and spreading of feature maps."""

from mindspore import Tensor, nn, ops


def upsample_bilinear(x: Tensor, align_corners: bool = False) -> Tensor:
    """Bilinear x2: (B, C, H, W) -> (B, C, 2H, 2W); half-pixel centres unless `align_corners`."""
    size = (2 * x.shape[2], 2 * x.shape[3])
    return ops.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


def upsample_nearest(x: Tensor) -> Tensor:
    """Nearest x2: (B, C, H, W) -> (B, C, 2H, 2W). On CPU twice as fast as ops.interpolate."""
    batch, channels, height, width = x.shape
    columns = ops.stack((x, x), 4).reshape(batch, channels, height, 2 * width)
    return ops.stack((columns, columns), 3).reshape(batch, channels, 2 * height, 2 * width)


def over_channels(x: Tensor, channels: int) -> Tensor:
    """Repeat a single-channel map: (B, 1, H, W) -> (B, channels, H, W).

    Multiplying by a (B, 1, H, W) map directly would broadcast; MindSpore's broadcasting product takes five to ten
    times as long on CPU as this copy and a plain product.
    """
    return ops.tile(x, (1, channels, 1, 1))


class MapProduct(nn.Cell):
    """Features times a single-channel map that takes no gradient: (B, C, H, W), (B, 1, H, W) -> (B, C, H, W).

    The backward repeats the map instead of keeping the repeated one, or the features, in memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.repeat = ops.Tile()  # a primitive: MindSpore 2.10 cannot compile a bprop that calls ops.tile

    def construct(self, features: Tensor, weight: Tensor) -> Tensor:
        return features * self.repeat(weight, (1, features.shape[1], 1, 1))

    def bprop(self, features: Tensor, weight: Tensor, out: Tensor, dout: Tensor) -> tuple:
        return dout * self.repeat(weight, (1, dout.shape[1], 1, 1)), ops.zeros_like(weight)
