"""Dropout without hidden state."""

import math

import mindspore as ms
from mindspore import Tensor, nn, ops

ODD = -1640531535  # 2^32 over the golden ratio, as int32: its multiples spread evenly


class Dropout(nn.Cell):
    """In training, set each number to zero with probability p, and multiply the others by 1 / (1 - p).

    x: (…, N); key: int32 scalar -> the shape of x

    What is dropped follows from the key and the place in x alone. nn.Dropout draws from a state inside its kernel,
    which nobody can save, so that a resumed run would not go on as the uninterrupted one; and each of its instances
    draws the same for all its uses in one graph.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p, self.limit = p, round(2**31 - p * 2**32)

    def construct(self, x: Tensor, key: int | Tensor) -> Tensor:
        return drop(x, self.keep(x.shape, key))

    def keep(self, shape: tuple, key: int | Tensor) -> Tensor | None:
        """What numbers are multiplied with, 0 or 1 / (1 - p): float32 (…, N). None where nothing is dropped."""
        if not self.training or self.p == 0:
            return None
        columns = shape[-1]
        start = _scramble(ops.zeros((1, 1), ms.int32) + key)
        rows = _scramble(ops.arange(0, math.prod(shape[:-1]), dtype=ms.int32).expand_dims(1) * ODD + start)
        hashed = _scramble(rows + ops.arange(0, columns, dtype=ms.int32).expand_dims(0) * ODD)
        keep = (hashed < self.limit).astype(ms.float32) * (1.0 / (1.0 - self.p))
        return ops.stop_gradient(keep.reshape(shape))


def drop(x: Tensor, keep: Tensor | None) -> Tensor:
    return x if keep is None else x * keep


def _scramble(x: Tensor) -> Tensor:
    """An integer hash whose upper bits are good, int32 (M, N) -> int32 (M, N). Products wrap around.

    It is (x ^ (x >> 15)) · 0x2C1B3C6D. Ascend shifts on the host's processor alone, so the shift is a product: with its
    lower bits cleared, a number has 17, which float32 holds exactly. Every device draws the same.
    """
    upper = ops.full((1, 1), -(2**15), dtype=ms.int32)  # on a GPU the operator does not broadcast a scalar
    shifted = (ops.bitwise_and(x, upper).astype(ms.float32) * 2.0**-15).astype(ms.int32)
    return ops.bitwise_xor(x, shifted) * 0x2C1B3C6D
