"""Projection heads: what each stream alone makes of its features (CTSDG, Sec. 3.1 and 3.4)."""

from mindspore import Tensor, nn, ops

from ..layers.conv import Conv2d


class ResidualBlock(nn.Cell):
    """conv-norm-ReLU-conv-norm with a shortcut: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = Conv2d(channels, hidden, 3, has_bias=False)
        self.norm1 = nn.BatchNorm2d(hidden)
        self.conv2 = Conv2d(hidden, channels, 3, has_bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def construct(self, x: Tensor) -> Tensor:
        residual = self.norm2(self.conv2(ops.relu(self.norm1(self.conv1(x)))))
        return ops.relu(x + residual)


class FeatureProjection(nn.Cell):
    """Decoder features (B, C, H, W) -> image or edges (B, out_channels, H, W)."""

    def __init__(self, channels: int, hidden: int, out_channels: int, activation: nn.Cell) -> None:
        super().__init__()
        self.resolver = ResidualBlock(channels, hidden)
        self.out = Conv2d(channels, out_channels, 1)
        self.activation = activation

    def construct(self, features: Tensor) -> Tensor:
        return self.activation(self.out(self.resolver(features)))
