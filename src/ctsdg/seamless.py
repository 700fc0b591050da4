"""Colours that meet at the borders of holes: this project's own addition to CTSDG's output (`--seamless true`)."""

from mindspore import Tensor, nn, ops

from ..layers.membrane import Membrane
from ..layers.resize import over_channels

MOST = 3.0  # times the detail around: as much is added to a smooth filling at most
REACH = 32  # pixels: so far around counts
ROUNDING = 1 / 127.5  # one level: a smooth slope has as much detail, from being rounded


class Seamless(nn.Cell):
    """A smooth filling of the hole from the image, and what the output has beside a smooth filling of its own.

    output, image: (B, 3, H, W); mask: (B, 1, H, W), 1 = known -> (B, 3, H, W), on known pixels the output itself

    Both smooth fillings are membranes, so this is seamless cloning (Pérez et al., "Poisson Image Editing", 2003): what
    the output is off the known pixels is continued into the hole and taken off, and the network learns what a smooth
    filling lacks. That is bounded by the detail around: where all is smooth, so is the filling.
    """

    def __init__(self) -> None:
        super().__init__()
        self.membrane, self.bound = Membrane(), DetailBound()

    def construct(self, output: Tensor, image: Tensor, mask: Tensor) -> Tensor:
        bound = over_channels(self.bound(image, mask), 3)
        smooth, own = ops.split(self.membrane(ops.cat((image, output), axis=1), mask), 3, axis=1)
        added = ops.maximum(ops.minimum(output - own, bound), -bound)
        known = over_channels(mask, 3)
        return output * known + (smooth + added) * (1.0 - known)


class DetailBound(nn.Cell):
    """How much may be added to a smooth filling: MOST times the most detail that is known within REACH.

    image: (B, 3, H, W) in [-1, 1]; mask: (B, 1, H, W), 1 = known -> (B, 1, H, W)

    Detail is how far a pixel is from the mean of its 3×3 neighbourhood, in the channel where that is most, less what
    rounding to 8 bits makes of a slope. Only pixels with known neighbours count; where there are none within REACH,
    those of the whole image. No gradient flows through it. At the image's border, where a slope is off the mean of the
    neighbours that there are, it is what it is beside it.
    """

    def __init__(self) -> None:
        super().__init__()
        length = 2 * REACH + 1
        self.smooth, self.grow = ops.AvgPool(3, 1, "valid"), nn.MaxPool2d(3, 1, pad_mode="valid")
        self.spread = nn.SequentialCell(
            nn.MaxPool2d((1, length), 1, pad_mode="same"), nn.MaxPool2d((length, 1), 1, pad_mode="same")
        )

    def construct(self, image: Tensor, mask: Tensor) -> Tensor:
        surely = 1.0 - self.grow(1.0 - mask)
        detail = ops.abs(image[:, :, 1:-1, 1:-1] - self.smooth(image)).max(axis=1, keepdims=True)
        detail = ops.maximum(detail - ROUNDING, 0.0) * surely
        nothing_near = 1.0 - self.spread(surely)
        most = self.spread(detail) + nothing_near * detail.max(axis=(2, 3), keepdims=True)
        most = ops.cat((most[:, :, :1], most, most[:, :, -1:]), axis=2)
        most = ops.cat((most[:, :, :, :1], most, most[:, :, :, -1:]), axis=3)
        return ops.stop_gradient(MOST * most)
