"""Self-attention over a feature map (SAGAN, Zhang et al., ICML 2019, Sec. 3)."""

from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import initializer

from .spectral_norm import SpectralNormConv2d


class SelfAttention(nn.Cell):
    """Every pixel attends to the map at half the resolution; the input is added. (B, C, H, W) -> (B, C, H, W)"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = SpectralNormConv2d(channels, channels // 8, 1)
        self.key = SpectralNormConv2d(channels, channels // 8, 1)
        self.value = SpectralNormConv2d(channels, channels // 2, 1)
        self.out = SpectralNormConv2d(channels // 2, channels, 1)
        self.pool = nn.MaxPool2d(2, 2)
        self.gamma = Parameter(initializer("zeros", ()))  # at initialisation the output is the input

    def construct(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        query = self.query(x).reshape(batch, channels // 8, -1)
        key = self.pool(self.key(x)).reshape(batch, channels // 8, -1)
        value = self.pool(self.value(x)).reshape(batch, channels // 2, -1)
        attention = ops.softmax(ops.bmm(query.swapaxes(1, 2), key), -1)  # (B, H W, H W / 4)
        attended = ops.bmm(value, attention.swapaxes(1, 2)).reshape(batch, channels // 2, height, width)
        return self.gamma * self.out(attended) + x
