"""Products of a feature map with something smaller."""

from mindspore import ops

from .backend import by_device
from .cpu import product as cpu

# Features times a single-channel map that takes no gradient: (B, C, H, W), (B, 1, H, W) -> (B, C, H, W)
MapProduct = by_device(cpu.MapProduct, ops.Mul)

# A map times a learned number: (B, C, H, W), (1,) -> (B, C, H, W)
NumberProduct = by_device(cpu.NumberProduct, ops.Mul)
