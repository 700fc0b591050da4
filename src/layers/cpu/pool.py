"""Max pooling of a padded map."""

from mindspore import nn


class MaxPool(nn.MaxPool2d):
    """Pads by itself: a third of the time."""

    def __init__(self, kernel_size: int, stride: int, padding: int) -> None:
        super().__init__(kernel_size, stride, "pad", padding)
