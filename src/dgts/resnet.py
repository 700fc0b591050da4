"""ResNet-50 (He et al., CVPR 2016), the backbone of the texture transformer encoder (DGTS, Sec. 3.1)."""

from mindspore import Tensor, nn

from ..layers.conv import Conv2d
from ..layers.pool import MaxPool
from .width import scaled

STAGES = ((3, 64, 1, 1), (4, 128, 2, 1), (6, 256, 2, 1), (3, 512, 1, 2))  # blocks, channels, stride, dilation
EXPANSION = 4  # a block ends with this many times its inner channels
BLOCKS = sum(stage[0] for stage in STAGES)


class FrozenBatchNorm(nn.BatchNorm2d):
    """Batch norm whose statistics and scales never change: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int, gamma: float | str = "ones") -> None:
        gamma = Tensor([gamma] * channels) if isinstance(gamma, float) else gamma
        super().__init__(channels, gamma_init=gamma, use_batch_statistics=False)
        for parameter in self.get_parameters():
            parameter.requires_grad = False


class Bottleneck(nn.Cell):
    """1x1, 3x3 and 1x1 convolutions around a shortcut.

    (B, C_in, H, W) -> (B, 4 C, H / stride, W / stride)
    """

    def __init__(self, in_channels: int, channels: int, stride: int, dilation: int) -> None:
        super().__init__()
        out_channels = EXPANSION * channels
        self.conv1 = _conv(in_channels, channels, 1)
        self.norm1 = FrozenBatchNorm(channels)
        self.conv2 = _conv(channels, channels, 3, stride, dilation)
        self.norm2 = FrozenBatchNorm(channels)
        self.conv3 = _conv(channels, out_channels, 1)
        # Pretrained weights overwrite this scale. Without them nothing normalises the sum, and full-size residuals
        # would double its variance with every block.
        self.norm3 = FrozenBatchNorm(out_channels, gamma=BLOCKS**-0.5)
        self.relu = nn.ReLU()
        self.shortcut = None
        if stride > 1 or in_channels != out_channels:
            self.shortcut = nn.SequentialCell(
                _conv(in_channels, out_channels, 1, stride), FrozenBatchNorm(out_channels)
            )

    def construct(self, x: Tensor) -> Tensor:
        residual = self.relu(self.norm1(self.conv1(x)))
        residual = self.relu(self.norm2(self.conv2(residual)))
        residual = self.norm3(self.conv3(residual))
        if self.shortcut is not None:
            x = self.shortcut(x)
        return self.relu(x + residual)


class ResNet50(nn.Cell):
    """Features at a sixteenth of the size: the last stage is dilated instead of strided.

    image: (B, 3, H, W) -> (B, 2048, H/16, W/16)

    Only the convolutions of the last three stages learn.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.conv1 = _conv(3, scaled(64, width), 7, stride=2)
        self.norm1 = FrozenBatchNorm(scaled(64, width))
        self.relu = nn.ReLU()
        self.pool = MaxPool(3, 2, padding=1)
        stages, in_channels = [], scaled(64, width)
        for blocks, channels, stride, dilation in STAGES:
            channels, stage = scaled(channels, width), []
            for i in range(blocks):
                # The first block of the dilated stage is not dilated yet: it is where the stride was.
                stage.append(Bottleneck(in_channels, channels, stride if i == 0 else 1, dilation if i > 0 else 1))
                in_channels = EXPANSION * channels
            stages.append(nn.SequentialCell(*stage))
        self.stages = nn.CellList(stages)
        self.out_channels = in_channels
        for cell in (self.conv1, self.stages[0]):
            for parameter in cell.get_parameters():
                parameter.requires_grad = False

    def construct(self, image: Tensor) -> Tensor:
        x = self.pool(self.relu(self.norm1(self.conv1(image))))
        for stage in self.stages:
            x = stage(x)
        return x


def _conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, dilation: int = 1) -> Conv2d:
    return Conv2d(in_channels, out_channels, kernel_size, stride, dilation, has_bias=False)
