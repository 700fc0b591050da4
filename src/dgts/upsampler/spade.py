"""The parts of the upsampler: gated convolutions (Yu et al., ICCV 2019) and SPADE (Park et al., CVPR 2019)."""

from mindspore import Tensor, nn, ops

from ...layers.activation import LeakyReLU
from ...layers.conv import Conv2d, convolve_in
from ...layers.positional_norm import positional_norm
from ...layers.resize import upsample_nearest
from ...layers.spectral_norm import SpectralNormConv2d
from ..width import scaled


class GatedConv(nn.Cell):
    """A spectral-norm convolution, and another of the same shape whose sigmoid is its gate.

    x: (B, C_in, H, W) -> (B, C_out, H, W)
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, has_bias: bool) -> None:
        super().__init__()

        def conv() -> SpectralNormConv2d:
            padding = kernel_size // 2
            return SpectralNormConv2d(in_channels, out_channels, kernel_size, padding=padding, has_bias=has_bias)

        self.feature, self.gate = conv(), conv()

    def construct(self, x: Tensor) -> Tensor:
        return self.feature(x) * ops.sigmoid(self.gate(x))


class GatedConvNorm(nn.Cell):
    """A gated convolution with batch norm for feature and gate, and ReLU for the feature unless `activate` is False.

    x: (B, C_in, H, W) -> (B, C_out, H', W'); `reflect` pixels are added around x by reflection, `padding` of zeros
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        reflect: int = 0,
        activate: bool = True,
    ) -> None:
        super().__init__()

        def branch() -> nn.SequentialCell:
            conv = SpectralNormConv2d(in_channels, out_channels, kernel_size, stride, padding, dilation)
            return nn.SequentialCell(conv, nn.BatchNorm2d(out_channels))

        self.feature, self.gate = branch(), branch()
        sides = (reflect, reflect)
        self.pad = nn.Pad(((0, 0), (0, 0), sides, sides), mode="REFLECT") if reflect else None
        self.activate = activate

    def construct(self, x: Tensor) -> Tensor:
        if self.pad is not None:
            x = self.pad(x)  # a fifth of the time of ops.pad on CPU
        feature = self.feature(x)
        return (ops.relu(feature) if self.activate else feature) * ops.sigmoid(self.gate(x))


class ResidualBlock(nn.Cell):
    """Two gated convolutions, the first dilated, and the input: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.first = GatedConvNorm(channels, channels, dilation=dilation, reflect=dilation)
        self.second = GatedConvNorm(channels, channels, reflect=1, activate=False)

    def construct(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


class SPADE(nn.Cell):
    """Scale and shift that vary over the map, made from a guide.

    normalised: (B, C, H, W); guide: (B, guide_channels, H, W) -> normalised · (1 + γ) + β
    """

    def __init__(self, channels: int, guide_channels: int, width: float) -> None:
        super().__init__()
        hidden = scaled(128, width)
        self.shared = Conv2d(guide_channels, hidden, 3)
        self.gamma = Conv2d(hidden, channels, 3)
        self.beta = Conv2d(hidden, channels, 3)

    def construct(self, normalised: Tensor, guide: Tensor) -> Tensor:
        shared = ops.relu(self.shared(guide))
        gamma = self.gamma
        scale = convolve_in(gamma.dtype, gamma.convolution, shared, gamma.weight)
        # 1 goes onto the bias: C numbers instead of a whole map.
        return normalised * ops.bias_add(scale, 1.0 + gamma.bias) + self.beta(shared)


class SPADEBlock(nn.Cell):
    """Doubles a map (nearest) and refines it with two gated convolutions that the guide modulates.

    x: (B, C_in, H, W); guide: (B, guide_channels, 2H, 2W) -> (B, C_out, 2H, 2W)
    """

    def __init__(self, in_channels: int, out_channels: int, guide_channels: int, width: float) -> None:
        super().__init__()
        middle = min(in_channels, out_channels)
        self.spade0 = SPADE(in_channels, guide_channels, width)
        self.conv0 = GatedConv(in_channels, middle, 3, has_bias=True)
        self.spade1 = SPADE(middle, guide_channels, width)
        self.conv1 = GatedConv(middle, out_channels, 3, has_bias=True)
        self.learned_shortcut = in_channels != out_channels
        if self.learned_shortcut:
            self.spade_shortcut = SPADE(in_channels, guide_channels, width)
            self.conv_shortcut = GatedConv(in_channels, out_channels, 1, has_bias=False)
        self.activation = LeakyReLU(0.2)

    def construct(self, x: Tensor, guide: Tensor) -> Tensor:
        normalised = upsample_nearest(positional_norm(x))  # what norming the doubled map would give
        refined = self.conv0(self.activation(self.spade0(normalised, guide)))
        refined = self.conv1(self.activation(self.spade1(positional_norm(refined), guide)))
        if self.learned_shortcut:
            return refined + self.conv_shortcut(self.spade_shortcut(normalised, guide))
        return refined + upsample_nearest(x)
