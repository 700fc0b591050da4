"""In which order the decoder fills patches (DGTS, Sec. 3.3)."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from .embedding import PATCH

FILL_ORDERS = ("known_pixels", "confidence", "raster")


class FillOrder(nn.Cell):
    """The place of each patch in an order that the mask alone decides.

    count: (B, N) -> float32 (B, N): 0 for the patch filled first, fully known patches after all others

    "known_pixels": most known pixels first, ties to the one with more of them in its 8 neighbours, then to the lower
    number. The hole closes from its rim, as in coarse filled attention. "raster": row by row.
    """

    def __init__(self, kind: str, side: int) -> None:
        super().__init__()
        self.by_count, self.side = kind == "known_pixels", side
        self.numbers = Tensor([range(side * side)], ms.float32)
        self.around = ops.Conv2D(1, (3, 3), pad_mode="pad", pad=(1, 1, 1, 1))
        self.ring = Tensor([[[[1, 1, 1], [1, 0, 1], [1, 1, 1]]]], ms.float32)

    def construct(self, count: Tensor) -> Tensor:
        # One number tells which of two patches goes first: whole, below 2^22, so exact in float32.
        priority = -self.numbers
        if self.by_count:
            neighbours = self.around(count.reshape(-1, 1, self.side, self.side), self.ring).reshape(count.shape)
            priority = priority + self.side**2 * (neighbours + (8 * PATCH**2 + 1) * count)
        priority = ops.where(count == PATCH**2, -(self.side**2) - self.numbers, priority)
        return (priority.expand_dims(1) > priority.expand_dims(2)).astype(ms.float32).sum(axis=2)


def to_places(order: Tensor, numbers: Tensor) -> Tensor:
    """The place of each patch in an order, N for those that are not in it.

    order: int32 (B, T), patch numbers; numbers: int32 (1, N), 0 to N - 1 -> float32 (B, N)
    """
    found = (order.expand_dims(2) == numbers.expand_dims(1)).astype(ms.float32)  # (B, T, N)
    steps = ops.arange(0, order.shape[1]).astype(ms.float32)
    return ops.where(found.sum(axis=1) > 0, ops.matmul(steps, found), float(numbers.shape[1]))


def to_order(places: Tensor, steps: Tensor, numbers: Tensor) -> Tensor:
    """The patches filled in turn: places (B, N), number of steps (B, 1) -> int32 (B, N), -1 after the last."""
    numbers = numbers.astype(ms.float32)
    found = (places.expand_dims(1) == numbers.expand_dims(2)).astype(ms.float32)  # (B, T, N)
    order = (found * numbers.expand_dims(1)).sum(axis=2)
    return ops.where(numbers < steps, order, -1.0).astype(ms.int32)
