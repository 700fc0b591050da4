"""Positional normalisation (Li et al., NeurIPS 2019)."""

from mindspore import Tensor, ops

from .reduce import sum_channels
from .resize import over_channels


def positional_norm(x: Tensor, epsilon: float = 1e-5) -> Tensor:
    """Mean 0 and (unbiased) variance 1 over the channels of every pixel: (B, C, H, W) -> (B, C, H, W)."""
    batch, channels, height, width = x.shape
    flat = x.reshape(batch, channels, height * width)
    centred = flat - over_channels(sum_channels(flat) / channels, channels)
    variance = sum_channels(centred * centred) / (channels - 1)
    return (centred * over_channels(ops.rsqrt(variance + epsilon), channels)).reshape(x.shape)
