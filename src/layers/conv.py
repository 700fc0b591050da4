"""Convolutions."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from .backend import by_device
from .cpu import conv as cpu


def _plain(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> ops.Conv2D:
    return ops.Conv2D(out_channels, kernel_size, pad_mode="pad", pad=padding, stride=stride, dilation=dilation)


# A convolution with weights from elsewhere: x (B, C_in, H, W), weight (C_out, C_in, k, k) -> (B, C_out, H', W')
Convolution = by_device(cpu.Convolution, _plain)


class Conv2d(nn.Conv2d):
    """nn.Conv2d of odd kernels, padded with zeros: (B, C_in, H, W) -> (B, C_out, H / stride, W / stride).

    `dtype` is what it computes in; input, output, weight and bias are float32.
    """

    dtype = ms.float32

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        has_bias: bool = True,
    ) -> None:
        padding = dilation * (kernel_size // 2)
        super().__init__(in_channels, out_channels, kernel_size, stride, "pad", padding, dilation, has_bias=has_bias)
        self.dilated = dilation > 1
        self.convolution = Convolution(in_channels, out_channels, kernel_size, stride, padding, dilation)

    def construct(self, x: Tensor) -> Tensor:
        x = convolve_in(self.dtype, self.convolution, x, self.weight)
        return ops.bias_add(x, self.bias) if self.has_bias else x


def convolve_in(dtype: ms.Type, convolution: nn.Cell | ops.Primitive, x: Tensor, weight: Tensor) -> Tensor:
    """A Convolution that computes in `dtype`. What goes in and comes out is float32."""
    return convolution(x.astype(dtype), weight.astype(dtype)).astype(ms.float32)
