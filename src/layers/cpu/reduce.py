"""Sums as products with ones: MindSpore's reductions take three to twenty times as long."""

from mindspore import Tensor, ops


def total(x: Tensor) -> Tensor:
    columns = x.shape[-1]
    rows = x.size // columns  # in two steps, so that no vector of ones is as large as x
    sums = ops.matmul(x.reshape(rows, columns), ops.ones((columns, 1), x.dtype))
    return ops.matmul(sums.reshape(1, rows), ops.ones((rows, 1), x.dtype)).reshape(())


def sum_samples(x: Tensor) -> Tensor:
    x = x.reshape(x.shape[0], -1)
    return ops.matmul(x, ops.ones((x.shape[1], 1), x.dtype))


def sum_squares(x: Tensor) -> Tensor:
    x = x.reshape(1, -1)
    return ops.MatMul(transpose_b=True)(x, x).reshape(())


def sum_channels(x: Tensor) -> Tensor:
    return ops.bmm(ops.ones((x.shape[0], 1, x.shape[1]), x.dtype), x)


def repeat_channels(x: Tensor, channels: int) -> Tensor:
    """A product too, whose gradient is not the reduction that a tile's or a broadcast's is."""
    return ops.bmm(ops.ones((x.shape[0], channels, 1), x.dtype), x)


def softmax_grad(weights: Tensor, d_weights: Tensor) -> Tensor:
    batch, _, columns = weights.shape
    weighted = weights * d_weights
    sums = ops.bmm(weighted, ops.ones((batch, columns, 1), weights.dtype))
    return weighted - weights * ops.bmm(sums, ops.ones((batch, 1, columns), weights.dtype))
