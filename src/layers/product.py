"""Products of a feature map with something smaller, and with itself."""

from mindspore import Tensor, ops

from .backend import by_device, on_cpu
from .cpu import product as cpu

# Features times a single-channel map that takes no gradient: (B, C, H, W), (B, 1, H, W) -> (B, C, H, W)
MapProduct = by_device(cpu.MapProduct, ops.Mul)

# A map times a learned number: (B, C, H, W), (1,) -> (B, C, H, W)
NumberProduct = by_device(cpu.NumberProduct, ops.Mul)


def gram(features: Tensor) -> Tensor:
    """Correlation of channels: (B, C, H, W) -> (B, C, C), divided by C·H·W."""
    batch, channels, height, width = features.shape
    count, flat = channels * height * width, features.reshape(batch, channels, height * width)
    if on_cpu():
        return cpu.gram(flat, count)
    flat = flat * count**-0.5  # before the product, which a device that multiplies in float16 could not hold
    return ops.bmm(flat, flat.swapaxes(1, 2))
