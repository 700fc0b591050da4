"""Positional normalisation (Li et al., NeurIPS 2019)."""

from mindspore import Tensor, ops

from src.layers.reduce import sum_channels


def positional_norm(x: Tensor, epsilon: float = 1e-5) -> Tensor:
    """Mean 0 and (unbiased) variance 1 over the channels of every pixel: (B, C, H, W) -> (B, C, H, W)."""
    batch, channels, height, width = x.shape
    flat = x.reshape(batch, channels, height * width)
    centred = flat - _over_channels(sum_channels(flat) / channels, channels)
    variance = sum_channels(centred * centred) / (channels - 1)
    return (centred * _over_channels(ops.rsqrt(variance + epsilon), channels)).reshape(x.shape)


def _over_channels(x: Tensor, channels: int) -> Tensor:
    return ops.tile(x, (1, channels, 1))  # a broadcast product would be slow: see resize.over_channels
