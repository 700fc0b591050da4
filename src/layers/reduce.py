"""Sums, in float32."""

from mindspore import Tensor, ops

from .backend import on_cpu
from .cpu import reduce as cpu


def mean(x: Tensor) -> Tensor:
    """Of all numbers: any shape -> scalar."""
    return total(x) / x.size


def total(x: Tensor) -> Tensor:
    """The sum of all numbers: any shape -> scalar."""
    return cpu.total(x) if on_cpu() else x.sum()


def sum_squares(x: Tensor) -> Tensor:
    """Of all numbers: any shape -> scalar."""
    return cpu.sum_squares(x) if on_cpu() else (x * x).sum()


def sum_samples(x: Tensor) -> Tensor:
    """Of each sample: (B, ...) -> (B, 1)"""
    return cpu.sum_samples(x) if on_cpu() else x.reshape(x.shape[0], -1).sum(1, keepdims=True)


def sum_channels(x: Tensor) -> Tensor:
    """(B, C, N) -> (B, 1, N)"""
    return cpu.sum_channels(x) if on_cpu() else x.sum(1, keepdims=True)


def repeat_channels(x: Tensor, channels: int) -> Tensor:
    """(B, 1, N) -> (B, channels, N)"""
    return cpu.repeat_channels(x, channels) if on_cpu() else ops.broadcast_to(x, (-1, channels, -1))


def softmax_grad(weights: Tensor, d_weights: Tensor) -> Tensor:
    """A softmax's result and its gradient -> the gradient of its input: (B, M, N) each, softmax over the last axis."""
    if on_cpu():
        return cpu.softmax_grad(weights, d_weights)
    weighted = weights * d_weights
    return weighted - weights * weighted.sum(-1, keepdims=True)
