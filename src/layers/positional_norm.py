"""Positional normalisation (Li et al., NeurIPS 2019)."""

from mindspore import Tensor, ops

from src.layers.resize import over_channels


def positional_norm(x: Tensor, epsilon: float = 1e-5) -> Tensor:
    """Mean 0 and (unbiased) variance 1 over the channels of every pixel: (B, C, H, W) -> (B, C, H, W)."""
    channels = x.shape[1]
    centred = x - over_channels(x.mean(1, keep_dims=True), channels)
    variance = (centred * centred).sum(1, keepdims=True) / (channels - 1)
    return centred * over_channels(ops.rsqrt(variance + epsilon), channels)
