"""Windows of a feature map as columns."""

from mindspore import Tensor, nn, ops

from .backend import by_device
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
