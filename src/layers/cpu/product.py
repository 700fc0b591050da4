"""Products that MindSpore would broadcast: forward and backward take five to ten times as long as without."""

from mindspore import Tensor, nn, ops

from .reduce import total


class MapProduct(nn.Cell):
    """Repeats the map, in the backward again: the repeated one would be as large as the features."""

    def __init__(self) -> None:
        super().__init__()
        self.repeat = ops.Tile()

    def construct(self, features: Tensor, weight: Tensor) -> Tensor:
        # Not before the features are there, or the maps of all layers would be repeated first.
        now = ops.depend(weight, features)
        return features * self.repeat(now, (1, features.shape[1], 1, 1))

    def bprop(self, features: Tensor, weight: Tensor, out: Tensor, dout: Tensor) -> tuple:
        again = ops.depend(weight, dout)
        return dout * self.repeat(again, (1, dout.shape[1], 1, 1)), ops.zeros_like(weight)


class NumberProduct(nn.Cell):
    def construct(self, x: Tensor, number: Tensor) -> Tensor:
        return x * number

    def bprop(self, x: Tensor, number: Tensor, out: Tensor, dout: Tensor) -> tuple:
        return dout * number, total(dout * x).reshape(number.shape)


def gram(flat: Tensor, count: int) -> Tensor:
    """(B, C, N) -> (B, C, C). Divided before the product, a training step at full size would hold 1 GB more."""
    return ops.bmm(flat, flat.swapaxes(1, 2)) / count
