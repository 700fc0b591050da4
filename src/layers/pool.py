"""Max pooling of a padded map."""

from mindspore import Tensor, nn

from .backend import by_device
from .cpu import pool as cpu


class _MaxPool(nn.Cell):
    """Pads with zeros first: on Ascend, what nn.MaxPool2d pads with has a kernel for the host's processor alone."""

    def __init__(self, kernel_size: int, stride: int, padding: int) -> None:
        super().__init__()
        self.pad = nn.Pad(((0, 0), (0, 0), *((padding, padding),) * 2))
        self.pool = nn.MaxPool2d(kernel_size, stride)

    def construct(self, x: Tensor) -> Tensor:
        return self.pool(self.pad(x))


# (kernel_size, stride, padding); (B, C, H, W), nowhere below 0 -> (B, C, H', W')
MaxPool = by_device(cpu.MaxPool, _MaxPool)
