"""The upsampler of DGTS: from a completed image of 1/8 of the size to the whole one (Sec. 3.5), a SPADE network."""

from mindspore import Tensor, nn, ops

from ...layers.activation import LeakyReLU
from ...layers.conv import Conv2d
from ...layers.init import init_torch_default
from ...layers.resize import upsample_nearest
from ...layers.self_attention import SelfAttention
from ..width import scaled
from .spade import GatedConvNorm, ResidualBlock, SPADEBlock

DILATIONS = (1, 1, 2, 4, 8, 16)  # of the residual blocks
GUIDE_CHANNELS = 4  # the image with holes at 1, and the hole map


def masked_input(image: Tensor, mask: Tensor) -> Tensor:
    """image: (B, 3, S, S) in [-1, 1]; mask: (B, 1, S, S), 1 = known -> (B, 4, S, S), holes at 1 and the hole map."""
    hole = 1.0 - mask
    return ops.cat((image * mask + hole, hole), axis=1)


class Upsampler(nn.Cell):
    """24.6 M parameters at width 1.

    masked: (B, 4, S, S), see masked_input, S a multiple of 128; low: (B, 3, S/8, S/8) in about [-1, 1]
    -> (B, 3, S, S) in [-1, 1]
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        narrow, middle, wide = (scaled(channels, width) for channels in (64, 128, 256))
        self.low0 = GatedConvNorm(3, wide, padding=1)
        self.low1 = GatedConvNorm(wide, wide, padding=1)
        self.encoder = nn.SequentialCell(
            GatedConvNorm(GUIDE_CHANNELS, narrow, 5, reflect=2),
            GatedConvNorm(narrow, middle, stride=2, padding=1),
            GatedConvNorm(middle, wide, stride=2, padding=1),
        )
        self.fuse = GatedConvNorm(2 * wide, wide, padding=1)
        self.residual = nn.SequentialCell([ResidualBlock(wide, dilation) for dilation in DILATIONS])
        self.attention = SelfAttention(wide)
        self.block0 = SPADEBlock(wide, wide, GUIDE_CHANNELS, width)
        self.block1 = SPADEBlock(wide, middle, GUIDE_CHANNELS, width)
        self.activation = LeakyReLU(0.2)
        self.out = Conv2d(middle, 3, 3)
        init_torch_default(self)

    def construct(self, masked: Tensor, low: Tensor) -> Tensor:
        low = self.low1(upsample_nearest(self.low0(low)))  # (B, C, S/4, S/4)
        x = self.fuse(ops.cat((low, self.encoder(masked)), axis=1))
        x = self.attention(self.residual(x))
        x = self.block0(x, masked[:, :, ::2, ::2])  # (B, C, S/2, S/2)
        x = self.block1(x, masked)  # (B, C/2, S, S)
        return ops.tanh(self.out(self.activation(x)))
