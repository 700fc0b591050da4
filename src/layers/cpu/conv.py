"""Convolution with a backward that keeps less."""

from mindspore import Tensor, nn, ops
from mindspore.ops.operations import _grad_ops
from mindspore.ops.operations.array_ops import Col2Im, Im2Col


class Convolution(nn.Cell):
    """x: (B, C_in, H, W), weight: (C_out, C_in, k, k) -> (B, C_out, H', W')

    oneDNN's backward unfolds the map into a buffer that each layer keeps for itself, up to 600 MB. Three things here
    avoid that or make it smaller:

    - Stride 1, and a map that is large beside the kernels: the input's gradient is a convolution of `dout` with the
      kernels turned by half a circle.
    - The same, and more input than output channels: for the kernels' gradient input and output change places, so that
      the map with fewer channels is unfolded.
    - What would still be unfolded to more numbers than a layer may keep is unfolded sample by sample, by operators
      whose results lie in memory that all layers share.
    """

    LARGE = 16  # pixels of the map for each output channel
    KEPT, NARROW = 5 * 2**20, 64  # numbers of an unfolded map that a layer may keep, 20 MB; with more channels, fewer

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
        self.stride = stride
        kernel, turned_padding = (kernel_size, kernel_size), dilation * (kernel_size - 1) - padding

        def options(padding: int) -> dict:
            return {"pad_mode": "pad", "pad": (padding,) * 4, "stride": (stride,) * 2, "dilation": (dilation,) * 2}

        def grad_options(padding: int) -> dict:
            return {**options(padding), "pad_list": (padding,) * 4}

        self.conv = ops.Conv2D(out_channels, kernel, **options(padding))
        self.input_grad = ops.Conv2DBackpropInput(out_channels, kernel, **grad_options(padding))
        self.weight_grad = WeightGrad(out_channels, kernel_size, stride, padding, dilation)
        self.turned_conv = ops.Conv2D(in_channels, kernel, **options(turned_padding))
        self.turned_weight_grad = WeightGrad(in_channels, kernel_size, stride, turned_padding, dilation)
        self.narrows = kernel_size > 1 and in_channels > out_channels
        self.product, self.repeat = ops.BatchMatMul(transpose_a=True), ops.Tile()
        self.fold = Col2Im([kernel_size] * 2, [dilation] * 2, [padding] * 2, [stride] * 2)
        self.to_array = ops.TupleToArray()

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.conv(x, weight)

    def bprop(self, x: Tensor, weight: Tensor, out: Tensor, dout: Tensor) -> tuple:
        x, weight = ops.depend(x, dout), ops.depend(weight, dout)
        if self.stride > 1 or x.shape[2] * x.shape[3] < self.LARGE * weight.shape[0]:
            return self._input_grad(x, weight, dout), self.weight_grad(x, dout)
        dx = self.turned_conv(dout, _turn(weight))
        if self.narrows:
            return dx, _turn(self.turned_weight_grad(dout, x))
        return dx, self.weight_grad(x, dout)

    def _input_grad(self, x: Tensor, weight: Tensor, dout: Tensor) -> Tensor:
        batch, channels, height, width = dout.shape
        area, pixels = weight.shape[2] * weight.shape[3], height * width
        if _may_keep(2 * x.shape[1] * area * pixels, channels):  # it unfolds two samples at once
            return self.input_grad(dout, weight, x.shape)
        kernels = self.repeat(weight.reshape(1, channels, -1), (batch, 1, 1))
        columns = self.product(kernels, dout.reshape(batch, channels, pixels))
        columns = columns.reshape(batch, x.shape[1], area, pixels)
        return self.fold(columns, self.to_array((x.shape[2], x.shape[3])))


class WeightGrad(nn.Cell):
    """The gradient of a convolution's kernels: x: (B, C_in, H, W), dout: (B, C_out, H', W') -> (C_out, C_in, k, k)"""

    def __init__(self, out_channels: int, kernel_size: int, stride: int, padding: int, dilation: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.grad = _grad_ops.Conv2DBackpropFilter(
            out_channels,
            (kernel_size, kernel_size),
            pad_mode="pad",
            pad=(padding,) * 4,
            pad_list=(padding,) * 4,
            stride=(stride,) * 2,
            dilation=(dilation,) * 2,
        )
        self.unfold = Im2Col(kernel_size, stride, dilation, padding)
        self.product, self.add = ops.BatchMatMul(transpose_b=True), ops.AddN()

    def construct(self, x: Tensor, dout: Tensor) -> Tensor:
        batch, channels = x.shape[:2]
        out_channels, pixels, k = dout.shape[1], dout.shape[2] * dout.shape[3], self.kernel_size
        shape = (out_channels, channels, k, k)
        # Kernels of one pixel count double: large maps that they kept raised a training's peak by 0.9 GB.
        unfolded = channels * k * k * pixels if k > 1 else 2 * channels * pixels
        if _may_keep(unfolded, out_channels):
            return self.grad(dout, x, shape)
        samples, douts = ops.Split(0, batch)(x), ops.Split(0, batch)(dout)
        grads = ()
        for i in range(batch):
            columns = self.unfold(samples[i]).reshape(1, channels * k * k, pixels)
            grads += (self.product(douts[i].reshape(1, out_channels, pixels), columns),)
        return self.add(grads).reshape(shape)


def _may_keep(unfolded: int, channels: int) -> bool:
    """Whether a layer with so many output channels may keep so many numbers.

    Unfolding sample by sample takes longer, which matters less the more channels there are to multiply with.
    """
    return unfolded * max(channels, Convolution.NARROW) <= Convolution.KEPT * Convolution.NARROW


def _turn(weight: Tensor) -> Tensor:
    """Kernels of the transposed convolution: (C_out, C_in, k, k) -> (C_in, C_out, k, k), turned by half a circle."""
    return ops.flip(weight, (2, 3)).swapaxes(0, 1)
