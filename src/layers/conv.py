"""The convolution of both networks: odd kernels, padded to keep the map's size."""

from mindspore import Tensor, nn, ops
from mindspore.ops.operations import _grad_ops

LARGE_MAP = 64 * 64  # pixels from which the input's gradient is cheaper as a forward convolution


class Conv2d(nn.Conv2d):
    """nn.Conv2d, padded with zeros: (B, C_in, H, W) -> (B, C_out, H / stride, W / stride).

    On large maps the backward takes other forms, because oneDNN's own keeps an unfolded copy of the map for each layer,
    150 MB and more, and is slower. The input's gradient is a convolution with the turned kernels; the weight's gradient
    lets the input and the output change places where that unfolds the one with fewer channels.
    """

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
        self.convolve = _Convolve(in_channels, out_channels, kernel_size, padding, dilation) if stride == 1 else None

    def construct(self, x: Tensor) -> Tensor:
        if self.convolve is None:
            return super().construct(x)
        x = self.convolve(x, self.weight)
        return ops.bias_add(x, self.bias) if self.has_bias else x


class _Convolve(nn.Cell):
    """x: (B, C_in, H, W), weight: (C_out, C_in, k, k) -> (B, C_out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, padding: int, dilation: int) -> None:
        super().__init__()
        kernel, around = (kernel_size, kernel_size), (padding,) * 4
        options = {"pad_mode": "pad", "pad": around, "dilation": (dilation, dilation)}
        self.conv = ops.Conv2D(out_channels, kernel, **options)
        self.turned_conv = ops.Conv2D(in_channels, kernel, **options)
        self.input_grad = ops.Conv2DBackpropInput(out_channels, kernel, pad_list=around, **options)
        self.weight_grad = _grad_ops.Conv2DBackpropFilter(out_channels, kernel, pad_list=around, **options)
        self.turned_weight_grad = _grad_ops.Conv2DBackpropFilter(in_channels, kernel, pad_list=around, **options)
        self.narrows = kernel_size > 1 and in_channels > out_channels

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.conv(x, weight)

    def bprop(self, x: Tensor, weight: Tensor, out: Tensor, dout: Tensor) -> tuple:
        if x.shape[2] * x.shape[3] < LARGE_MAP:
            return self.input_grad(dout, weight, x.shape), self.weight_grad(dout, x, weight.shape)
        dx = self.turned_conv(dout, _turn(weight))
        if self.narrows:
            return dx, _turn(self.turned_weight_grad(x, dout, weight.swapaxes(0, 1).shape))
        return dx, self.weight_grad(dout, x, weight.shape)


def _turn(weight: Tensor) -> Tensor:
    """Kernels of the transposed convolution: (C_out, C_in, k, k) -> (C_in, C_out, k, k), turned by half a circle."""
    return ops.flip(weight, (2, 3)).swapaxes(0, 1)
