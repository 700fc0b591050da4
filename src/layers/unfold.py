"""Windows of a feature map as columns, and back."""

from mindspore import Tensor, nn, ops

from .backend import by_device, on_cpu
from .cpu import unfold as cpu


class _Unfold(nn.Cell):
    """Pads, slices and stacks: on Ascend, Im2Col has a kernel for the host's processor alone."""

    def __init__(self, kernel: tuple[int, int], padding: int = 0, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.pad = nn.Pad(((0, 0), (0, 0), *((padding, padding),) * 2))

    def construct(self, x: Tensor) -> Tensor:
        x, s = self.pad(x), self.stride
        batch, channels, height, width = x.shape
        rows, columns = (height - self.kernel[0]) // s + 1, (width - self.kernel[1]) // s + 1
        # By phases of the stride: operator by operator, the gradient of a slice with steps fails on a CPU.
        x = x.reshape(batch, channels, height // s, s, width // s, s)
        windows = ()
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                windows += (x[:, :, i // s : i // s + rows, i % s, j // s : j // s + columns, j % s],)
        return ops.stack(windows, axis=2).reshape(batch, channels * len(windows), -1)


# (kernel (down, across), padding=0, stride=1); (B, C, H, W), whose sides with padding are multiples of the stride,
# -> (B, C · kernel places, windows)
Unfold = by_device(cpu.Unfold, _Unfold)


def fold(windows: Tensor, size: tuple, kernel: tuple, padding: tuple, stride: tuple) -> Tensor:
    """The sum of windows that overlap, by half of a window at most: (B, C, kernel places, windows) -> (B, C, H, W)

    size: (H, W); kernel, padding, stride: (down, across) each
    """
    if on_cpu():
        return cpu.fold(windows, size, kernel, padding, stride)
    # Along rows, then along columns; the gradient of ops.fold would be Im2Col.
    batch, (down, across) = windows.shape[0], kernel
    rows = (size[0] + 2 * padding[0] - down) // stride[0] + 1
    columns = (size[1] + 2 * padding[1] - across) // stride[1] + 1
    x = windows.reshape(batch, -1, down, across, rows, columns).transpose(0, 1, 4, 2, 5, 3)
    x = _add_blocks(x.reshape(-1, columns, across, 1), stride[1])  # (B · C · rows · down, W with padding, 1)
    x = _add_blocks(x.reshape(-1, rows, down, x.shape[1]), stride[0])
    x = x.reshape(batch, -1, *x.shape[1:])
    return x[:, :, padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]]


def _add_blocks(blocks: Tensor, stride: int) -> Tensor:
    """Each lies `stride` after the one before: (M, N, K, W) -> (M, (N - 1) · stride + K, W), K from 1 to 2 strides"""
    maps, count, length, width = blocks.shape
    x = blocks[:, :, :stride]
    if length > stride:
        rest = ops.Pad(((0, 0), (1, 0), (0, 2 * stride - length), (0, 0)))(blocks[:, :, stride:])
        x = ops.Pad(((0, 0), (0, 1), (0, 0), (0, 0)))(x) + rest
    return x.reshape(maps, -1, width)[:, : (count - 1) * stride + length]
