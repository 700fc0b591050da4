"""Positional normalisation (Li et al., NeurIPS 2019)."""

from mindspore import Tensor, ops


def positional_norm(x: Tensor, epsilon: float = 1e-5) -> Tensor:
    """Mean 0 and (unbiased) variance 1 over the channels of every pixel: (B, C, H, W) -> (B, C, H, W)."""
    batch, channels, height, width = x.shape
    flat = x.reshape(batch, channels, height * width)
    centred = flat - _over_channels(_sum(flat) / channels, channels)
    variance = _sum(centred * centred) / (channels - 1)
    return (centred * _over_channels(ops.rsqrt(variance + epsilon), channels)).reshape(x.shape)


def _sum(x: Tensor) -> Tensor:
    """Over channels: (B, C, N) -> (B, 1, N). As a product it takes a sixth of a reduction's time on CPU."""
    return ops.bmm(ops.ones((x.shape[0], 1, x.shape[1]), x.dtype), x)


def _over_channels(x: Tensor, channels: int) -> Tensor:
    return ops.tile(x, (1, channels, 1))  # a broadcast product would be slow: see resize.over_channels
