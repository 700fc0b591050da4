"""Convolution, with a backward that keeps less."""

import mindspore as ms
from mindspore import Tensor, nn, ops
from mindspore.ops.operations import _grad_ops


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
        self.convolve = Convolve(in_channels, out_channels, kernel_size, stride, padding, dilation)

    def construct(self, x: Tensor) -> Tensor:
        x = self.convolve(x.astype(self.dtype), self.weight.astype(self.dtype)).astype(ms.float32)
        return ops.bias_add(x, self.bias) if self.has_bias else x


class Convolve(nn.Cell):
    """x: (B, C_in, H, W), weight: (C_out, C_in, k, k) -> (B, C_out, H', W')

    Where the stride is 1 and the map large beside the kernels, the backward takes other forms than oneDNN's, which on
    CPU keep an unfolded copy of the map for each layer, up to 300 MB, and are slower. The input's gradient is a
    convolution with the turned kernels; for the weight's gradient, input and output change places if that unfolds
    fewer channels.
    """

    LARGE = 16  # pixels of the map for each output channel

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.stride, self.geometry = stride, (kernel_size, stride, padding, dilation)
        kernel, turned_padding = (kernel_size, kernel_size), dilation * (kernel_size - 1) - padding

        def options(padding: int) -> dict:
            return {"pad_mode": "pad", "pad": (padding,) * 4, "stride": (stride,) * 2, "dilation": (dilation,) * 2}

        def grad_options(padding: int) -> dict:
            return {**options(padding), "pad_list": (padding,) * 4}

        self.conv = ops.Conv2D(out_channels, kernel, **options(padding))
        self.turned_conv = ops.Conv2D(in_channels, kernel, **options(turned_padding))
        self.input_grad = ops.Conv2DBackpropInput(out_channels, kernel, **grad_options(padding))
        self.weight_grad = _grad_ops.Conv2DBackpropFilter(out_channels, kernel, **grad_options(padding))
        self.turned_weight_grad = _grad_ops.Conv2DBackpropFilter(in_channels, kernel, **grad_options(turned_padding))
        self.narrows = kernel_size > 1 and in_channels > out_channels

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.conv(x, weight)

    def bprop(self, x: Tensor, weight: Tensor, out: Tensor, dout: Tensor) -> tuple:
        if self.stride > 1 or x.shape[2] * x.shape[3] < self.LARGE * weight.shape[0]:
            return self.input_grad(dout, weight, x.shape), self.weight_grad(dout, x, weight.shape)
        dx = self.turned_conv(dout, _turn(weight))
        if self.narrows:
            return dx, _turn(self.turned_weight_grad(x, dout, weight.swapaxes(0, 1).shape))
        return dx, self.weight_grad(dout, x, weight.shape)


def _turn(weight: Tensor) -> Tensor:
    """Kernels of the transposed convolution: (C_out, C_in, k, k) -> (C_in, C_out, k, k), turned by half a circle."""
    return ops.flip(weight, (2, 3)).swapaxes(0, 1)
