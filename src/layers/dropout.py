"""Dropout without hidden state."""

import mindspore as ms
from mindspore import Tensor, nn, ops

BITS = 16  # of a hash that decide whether a number is kept


class Dropout(nn.Cell):
    """In training, set each number to zero with probability p, and multiply the others by 1 / (1 - p).

    x: (…, N); key: int32 scalar -> the shape of x

    What is dropped follows from the key and the place in x alone. nn.Dropout draws from a state inside its kernel,
    which nobody can save, so that a resumed run would not go on as the uninterrupted one; and each of its instances
    draws the same for all its uses in one graph.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p, self.kept = p, round((1.0 - p) * 2**BITS)

    def construct(self, x: Tensor, key: int | Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        columns = x.shape[-1]
        rows = _scramble(ops.arange(0, x.size // columns, dtype=ms.int32) + _scramble(key))
        places = rows.expand_dims(1) + _scramble(ops.arange(0, columns, dtype=ms.int32)).expand_dims(0)
        keep = ops.bitwise_and(_scramble(places), 2**BITS - 1) < self.kept
        return x * (keep.astype(x.dtype) / (1.0 - self.p)).reshape(x.shape)


def _scramble(x: Tensor) -> Tensor:
    """An integer hash: int32 -> int32, neighbours far apart. Products wrap around."""
    x = ops.bitwise_xor(x, ops.bitwise_right_shift(x, 16)) * 0x45D9F3B
    x = ops.bitwise_xor(x, ops.bitwise_right_shift(x, 15)) * 0x2C1B3C6D
    return ops.bitwise_xor(x, ops.bitwise_right_shift(x, 14))
