"""The two-branch discriminator of CTSDG (Sec. 3.4)."""

from mindspore import Tensor, nn, ops

from ..layers.activation import LeakyReLU
from ..layers.conv import Conv2d
from ..layers.gradient_sum import GradientSum
from ..layers.init import init_torch_default
from ..layers.spectral_norm import SpectralNormConv2d
from .generator import scaled

PATCH_STAGES = ((64, 2), (128, 2), (256, 2), (512, 1))  # channels, stride; then one map of predictions


class PatchBranch(nn.Cell):
    """Spectral-norm convolutions: (B, C, H, W) -> probability that a patch is real (B, 1, H/8 - 2, W/8 - 2)."""

    def __init__(self, in_channels: int, width: float) -> None:
        super().__init__()
        stages = []
        for out_channels, stride in PATCH_STAGES:
            out_channels = scaled(out_channels, width)
            conv = SpectralNormConv2d(in_channels, out_channels, 4, stride, padding=1)
            stages.append(nn.SequentialCell(conv, LeakyReLU(0.2)))
            in_channels = out_channels
        self.stages = nn.CellList(stages)
        self.out = SpectralNormConv2d(in_channels, 1, 4, padding=1)

    def construct(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = stage(x)
        return ops.sigmoid(self.out(x))


class EdgeDetector(nn.Cell):
    """A learned edge map: (B, 3, H, W) in [-1, 1] -> (B, 1, H, W) in [0, 1]."""

    def __init__(self, width: float) -> None:
        super().__init__()
        channels = scaled(16, width)

        def conv3x3(in_channels: int) -> Conv2d:
            return Conv2d(in_channels, channels, 3)

        self.projection = nn.SequentialCell(conv3x3(3), nn.BatchNorm2d(channels), nn.ReLU())
        self.residual = nn.SequentialCell(
            conv3x3(channels), nn.BatchNorm2d(channels), nn.ReLU(), conv3x3(channels), nn.BatchNorm2d(channels)
        )
        self.out = nn.SequentialCell(Conv2d(channels, 1, 1), nn.Sigmoid())

    def construct(self, image: Tensor) -> Tensor:
        x = self.projection(image)
        return self.out(ops.relu(x + self.residual(x)))


class Discriminator(nn.Cell):
    """Judges texture on the image and structure on edges and gray (Fig. 2): 5.5 M parameters at width 1.

    image: (B, 3, H, W) in [-1, 1]; edge: (B, 1, H, W), the true edges of a real image, or None for a generated one,
    which is judged by its detected edges; gray: (B, 1, H, W) in [0, 1]
    -> predictions (B, 2, H/8 - 2, W/8 - 2) in [0, 1], detected edges (B, 1, H, W) in [0, 1]
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.texture_branch = PatchBranch(3, width)
        self.structure_branch = PatchBranch(2, width)
        self.edge_detector = EdgeDetector(width)
        self.gradient_sum = GradientSum()
        init_torch_default(self)

    def construct(self, image: Tensor, edge: Tensor | None, gray: Tensor) -> tuple:
        image = self.gradient_sum(image)
        texture = self.texture_branch(image)
        detected = self.edge_detector(image)
        structure = self.structure_branch(ops.cat((detected if edge is None else edge, gray), axis=1))
        return ops.cat((texture, structure), axis=1), detected
