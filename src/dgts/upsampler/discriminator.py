"""The upsampler's discriminator: two scales with spectral norm and self-attention (pix2pixHD, Wang et al., 2018)."""

from mindspore import Tensor, nn, ops

from ...layers.activation import LeakyReLU
from ...layers.init import init_torch_default
from ...layers.self_attention import SelfAttention
from ...layers.spectral_norm import SpectralNormConv2d
from ..width import scaled

SCALES = 2  # each sees the image at half the size of the one before
PATCH_STAGES = ((128, 2), (256, 2), (512, 1))  # channels, stride, after a first stage of 64 without norm
ATTENTION_CHANNELS = 256  # self-attention goes after the stage of that many


def instance_norm(x: Tensor, epsilon: float = 1e-5) -> Tensor:
    """Mean 0 and variance 1 over every map: (B, C, H, W) -> (B, C, H, W)."""
    flat = x.reshape(x.shape[0], x.shape[1], -1)
    centred = flat - flat.mean(-1, keep_dims=True)
    variance = (centred * centred).mean(-1, keep_dims=True)
    return (centred * ops.rsqrt(variance + epsilon)).reshape(x.shape)


class PatchDiscriminator(nn.Cell):
    """image: (B, 3, S, S) -> (B, 1, S/8 - 2, S/8 - 2), high where a patch looks real."""

    def __init__(self, width: float) -> None:
        super().__init__()
        channels = scaled(64, width)
        self.first = self._conv(3, channels, 2)
        convs = []
        for out_channels, stride in PATCH_STAGES:
            out_channels = scaled(out_channels, width)
            convs.append(SpectralNormConv2d(channels, out_channels, 4, stride, padding=1))
            channels = out_channels
        self.convs = nn.CellList(convs)
        self.attention = SelfAttention(scaled(ATTENTION_CHANNELS, width))
        self.attention_at = [channels for channels, _ in PATCH_STAGES].index(ATTENTION_CHANNELS)
        self.out = self._conv(channels, 1, 1)
        self.activation = LeakyReLU(0.2)

    @staticmethod
    def _conv(in_channels: int, out_channels: int, stride: int) -> nn.Conv2d:
        return nn.Conv2d(in_channels, out_channels, 4, stride, pad_mode="pad", padding=1, has_bias=True)

    def construct(self, image: Tensor) -> Tensor:
        x = self.activation(self.first(image))
        for i, conv in enumerate(self.convs):
            x = self.activation(instance_norm(conv(x)))
            if i == self.attention_at:
                x = self.attention(x)
        return self.out(x)


class Discriminator(nn.Cell):
    """image: (B, 3, S, S) in [-1, 1] -> one map of predictions for each scale, (B, 1, s/8 - 2, s/8 - 2), s = S, S/2."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.scales = nn.CellList([PatchDiscriminator(width) for _ in range(SCALES)])
        self.halve = nn.AvgPool2d(3, 2, pad_mode="pad", padding=1, count_include_pad=False)
        init_torch_default(self)

    def construct(self, image: Tensor) -> tuple:
        predictions = ()
        for i, scale in enumerate(self.scales):
            image = self.halve(image) if i else image
            predictions += (scale(image),)
        return predictions
