"""Doubling of feature maps."""

from mindspore import Tensor, nn, ops

from .backend import by_device, on_cpu
from .cpu import resize as cpu


def _plain(align_corners: bool = False) -> nn.Upsample:
    return nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=align_corners, recompute_scale_factor=True)


# (align_corners=False); bilinear x2: (B, C, H, W) -> (B, C, 2H, 2W), half-pixel centres unless align_corners
UpsampleBilinear = by_device(cpu.UpsampleBilinear, _plain)


def upsample_nearest(x: Tensor) -> Tensor:
    """Nearest x2: (B, C, H, W) -> (B, C, 2H, 2W)."""
    if on_cpu():
        return cpu.upsample_nearest(x)
    return ops.interpolate(x, size=(2 * x.shape[2], 2 * x.shape[3]), mode="nearest")


def over_channels(x: Tensor, channels: int) -> Tensor:
    """Repeat a single channel: (B, 1, ...) -> (B, channels, ...)."""
    if on_cpu():
        return cpu.over_channels(x, channels)
    return ops.broadcast_to(x, (-1, channels) + (-1,) * (x.ndim - 2))
