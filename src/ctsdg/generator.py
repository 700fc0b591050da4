"""The two-stream generator of CTSDG (Sec. 3.1)."""

from mindspore import Tensor, nn, ops

from ..layers.activation import LeakyReLU
from ..layers.conv import Conv2d, Convolution, convolve_in
from ..layers.init import init_normal
from ..layers.resize import UpsampleBilinear, upsample_nearest
from .bigff import BiGFF
from .cfa import CFA
from .partial_conv import PConvNormAct
from .projection import FeatureProjection
from .seamless import Seamless

ENCODER_STAGES = ((64, 7), (128, 5), (256, 5), (512, 3), (512, 3), (512, 3), (512, 3))  # channels, kernel
DECODER_STAGES = (512, 512, 512, 256, 128, 64, 64)


def scaled(channels: int, width: float) -> int:
    """Channel count of a network `width` times as wide as the published one; at least 1."""
    return max(1, round(channels * width))


class Encoder(nn.Cell):
    """Partial convolutions of stride 2.

    features: (B, C, H, W), mask: (B, 1, H, W) -> all levels and their masks, level 0 the input itself
    """

    def __init__(self, in_channels: int, width: float) -> None:
        super().__init__()
        stages: list[nn.Cell] = []
        for out_channels, kernel_size in ENCODER_STAGES:  # each stage halves H and W
            out_channels = scaled(out_channels, width)
            first = not stages
            stages.append(PConvNormAct((in_channels,), out_channels, kernel_size, stride=2, norm=not first))
            in_channels = out_channels
        self.stages = nn.CellList(stages)

    def construct(self, features: Tensor, mask: Tensor) -> tuple:
        levels, masks = (features,), (mask,)
        for stage in self.stages:
            features, mask = stage((features,), (mask,))
            levels, masks = (*levels, features), (*masks, mask)
        return levels, masks


class Decoder(nn.Cell):
    """Up-sampling and partial convolutions over skip connections.

    features, mask: the deepest level of the *other* stream's encoder
    levels, masks: all levels of this stream's own encoder, the skips
    -> (B, C, H, W) at the size of level 0
    """

    def __init__(self, in_channels: int, width: float, align_corners: bool) -> None:
        super().__init__()
        self.upsample = UpsampleBilinear(align_corners)
        skips = [in_channels] + [scaled(channels, width) for channels, _ in ENCODER_STAGES]
        channels = skips.pop()
        stages = []
        for out_channels in DECODER_STAGES:  # each stage doubles H and W
            out_channels = scaled(out_channels, width)
            stages.append(PConvNormAct((channels, skips.pop()), out_channels, 3, activation=LeakyReLU(0.2)))
            channels = out_channels
        self.stages = nn.CellList(stages)

    def construct(self, features: Tensor, mask: Tensor, levels: tuple, masks: tuple) -> Tensor:
        depth = len(self.stages)
        for i, stage in enumerate(self.stages):
            features, mask = self.upsample(features), upsample_nearest(mask)
            features, mask = stage((features, levels[depth - 1 - i]), (mask, masks[depth - 1 - i]))
        return features


class OutputHead(nn.SequentialCell):
    """Features at half the size, up-sampled, beside the fused ones: a 1×1 convolution of both, and tanh.

    half: (B, C, H/2, W/2); fused: what `of_fused` makes of the fused features, (B, 3, H, W) -> (B, 3, H, W)

    A convolution of two maps side by side is the sum of two convolutions. So the one of the fused features can go
    first, after which these are no longer needed. And `half` is convolved before it is up-sampled, which is the same
    with three channels instead of C.
    """

    def __init__(self, channels: int, align_corners: bool) -> None:
        super().__init__(Conv2d(3 * channels, 3, 1), nn.Tanh())
        self.convolve_half, self.convolve_fused = Convolution(channels, 3, 1), Convolution(2 * channels, 3, 1)
        self.upsample = UpsampleBilinear(align_corners)

    def of_fused(self, features: Tensor) -> Tensor:
        """(B, 2C, H, W) -> (B, 3, H, W)"""
        conv, _ = self.cell_list
        return convolve_in(conv.dtype, self.convolve_fused, features, conv.weight[:, features.shape[1] // 2 :])

    def construct(self, half: Tensor, fused: Tensor) -> Tensor:
        conv, tanh = self.cell_list
        half = convolve_in(conv.dtype, self.convolve_half, half, conv.weight[:, : half.shape[1]])
        return tanh(ops.bias_add(fused + self.upsample(half), conv.bias))


class Generator(nn.Cell):
    """CTSDG generator (Fig. 2): 52.1 M parameters at width 1.

    image: (B, 3, H, W) in [-1, 1], H and W multiples of 128
    mask: (B, 1, H, W), 1 = known, 0 = hole
    edge, gray: (B, 1, H, W) in [0, 1]
    -> output (B, 3, H, W) in [-1, 1], projected image (B, 3, H, W) in [-1, 1], projected edge (B, 1, H, W) in [0, 1]

    What the inputs hold inside the hole does not matter: the partial convolutions multiply by the mask.
    `align_corners` is False for the published weights, True for those of the MindSpore model zoo.
    `seamless` is this project's own (False for all published weights): colours meet at the border of a hole, see
    seamless.py. There the output may leave [-1, 1].
    """

    def __init__(self, width: float = 1.0, align_corners: bool = False, seamless: bool = False) -> None:
        super().__init__()
        channels, hidden = scaled(64, width), scaled(16, width)

        self.texture_encoder = Encoder(3, width)
        self.structure_encoder = Encoder(2, width)
        self.texture_decoder = Decoder(3, width, align_corners)
        self.structure_decoder = Decoder(2, width, align_corners)

        self.texture_projection = FeatureProjection(channels, hidden, 3, nn.Tanh())
        self.structure_projection = FeatureProjection(channels, hidden, 1, nn.Sigmoid())

        self.bigff = BiGFF(channels)
        self.fusion1 = self._fusion(2 * channels, channels, stride=2)
        self.cfa = CFA(channels)
        self.fusion2 = self._fusion(2 * channels, channels, stride=1)
        self.out = OutputHead(channels, align_corners)
        self.seamless = Seamless() if seamless else None
        init_normal(self)

    @staticmethod
    def _fusion(in_channels: int, out_channels: int, stride: int) -> nn.SequentialCell:
        return nn.SequentialCell(Conv2d(in_channels, out_channels, 3, stride), LeakyReLU(0.2))

    def construct(self, image: Tensor, mask: Tensor, edge: Tensor, gray: Tensor) -> tuple:
        texture, structure = self.streams(image, mask, edge, gray)
        projected = self.texture_projection(texture), self.structure_projection(structure)
        return self.paint(self.bigff(texture, structure), image, mask), *projected

    def complete(self, image: Tensor, mask: Tensor, edge: Tensor, gray: Tensor) -> Tensor:
        """The output alone: without compilation too, nothing is computed that only training needs."""
        return self.paint(self.bigff(*self.streams(image, mask, edge, gray)), image, mask)

    def streams(self, image: Tensor, mask: Tensor, edge: Tensor, gray: Tensor) -> tuple:
        """Features of texture and structure: (B, C, H, W) each"""
        texture_levels, texture_masks = self.texture_encoder(image, mask)
        structure_levels, structure_masks = self.structure_encoder(ops.cat((edge, gray), axis=1), mask)

        # Each decoder starts from what the other stream encoded: texture conditions on structure and vice versa.
        texture = self.texture_decoder(structure_levels[-1], structure_masks[-1], texture_levels, texture_masks)
        # The second decoder after the first, or maps of both are in memory at once.
        deepest = ops.depend(texture_levels[-1], texture)
        return texture, self.structure_decoder(deepest, texture_masks[-1], structure_levels, structure_masks)

    def paint(self, fused: Tensor, image: Tensor, mask: Tensor) -> Tensor:
        """The output, from the fused features of both streams: (B, 2C, H, W) -> (B, 3, H, W)"""
        half, fused = self.fusion1(fused), self.out.of_fused(fused)  # without compilation too, the large map goes here
        half = self.fusion2(ops.cat((half, self.cfa(half)), axis=1))
        output = self.out(half, fused)
        return output if self.seamless is None else self.seamless(output, image, mask)
