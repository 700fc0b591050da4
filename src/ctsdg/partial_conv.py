"""Partial convolution (CTSDG, Sec. 3.1, after Liu et al., ECCV 2018)."""

import numpy as np
from mindspore import Tensor, nn, ops

from ..layers.conv import Conv2d
from ..layers.product import MapProduct


class PartialConv(nn.Cell):
    """Convolution over known pixels only, rescaled by how many of them its window holds.

    groups: one feature map (B, C_g, H, W) for each of `in_channels`
    masks: its mask (B, 1, H, W), 1 = known, 0 = hole
    -> features (B, C_out, H', W'), mask (B, 1, H', W')

    All channels of a group share a mask, so the published convolution of a C-channel mask with ones is
    Σ_g C_g · box(mask_g): a box filter on one channel per group, with the same result bit for bit.
    """

    def __init__(self, in_channels: tuple[int, ...], out_channels: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.padding = stride, kernel_size // 2
        self.conv = Conv2d(sum(in_channels), out_channels, kernel_size, stride, has_bias=False)
        window = np.ones((1, len(in_channels), kernel_size, kernel_size), np.float32)
        self.window = Tensor(window * np.array(in_channels, np.float32)[:, None, None])
        self.window_size = float(self.window.asnumpy().sum())
        self.times_map = MapProduct()

    def construct(self, groups: tuple, masks: tuple) -> tuple:
        known = ()
        for features, mask in zip(groups, masks):  # noqa: B905 (graph mode has no strict)
            known += (self.times_map(features, mask),)
        features, mask = _join(known), _join(masks)

        # Masks and the ratio stay in float32: in float16 the 1e-8 would vanish.
        count = ops.conv2d(mask, self.window, None, self.stride, "pad", self.padding)  # (B, 1, H', W')
        mask = ops.clamp(count, 0.0, 1.0)
        scale = self.window_size / (count + 1e-8) * mask
        return self.times_map(self.conv(features), scale), mask


class PConvNormAct(nn.Cell):
    """Partial convolution, batch norm, activation; arguments and results as PartialConv."""

    def __init__(
        self,
        in_channels: tuple[int, ...],
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        norm: bool = True,
        activation: nn.Cell | None = None,
    ) -> None:
        super().__init__()
        self.conv = PartialConv(in_channels, out_channels, kernel_size, stride)
        self.norm = nn.BatchNorm2d(out_channels) if norm else nn.Identity()
        self.activation = activation or nn.ReLU()

    def construct(self, groups: tuple, masks: tuple) -> tuple:
        features, mask = self.conv(groups, masks)
        return self.activation(self.norm(features)), mask


def _join(tensors: tuple) -> Tensor:
    return tensors[0] if len(tensors) == 1 else ops.cat(tensors, axis=1)
