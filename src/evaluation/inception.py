"""Inception v3 (Szegedy et al., CVPR 2016) as FID uses it: the network that its authors took from TensorFlow.

It is not the one that classifies today: averages around a place leave the padding out, and the last block takes the
maximum instead. Layers have the names that files give them.
"""

from typing import NamedTuple

from mindspore import Tensor, nn, ops

SIDE = 299  # pixels of the square that the network sees
AVERAGE, MAXIMUM, HALVE = "average", "maximum", "halve"  # 3x3 pooling; the last one with stride 2


class Conv(NamedTuple):
    """A convolution with its batch norm."""

    name: str
    channels: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1
    padded: bool = True  # so that a stride of 1 keeps the size


def block_a(pool_channels: int) -> tuple:
    return (
        (Conv("branch1x1", 64),),
        (Conv("branch5x5_1", 48), Conv("branch5x5_2", 64, 5)),
        (Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, 3), Conv("branch3x3dbl_3", 96, 3)),
        (AVERAGE, Conv("branch_pool", pool_channels)),
    )


def block_b() -> tuple:
    return (
        (Conv("branch3x3", 384, 3, 2, False),),
        (Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, 3), Conv("branch3x3dbl_3", 96, 3, 2, False)),
        (HALVE,),
    )


def block_c(channels: int) -> tuple:
    row, column = (1, 7), (7, 1)
    return (
        (Conv("branch1x1", 192),),
        (Conv("branch7x7_1", channels), Conv("branch7x7_2", channels, row), Conv("branch7x7_3", 192, column)),
        (
            Conv("branch7x7dbl_1", channels),
            Conv("branch7x7dbl_2", channels, column),
            Conv("branch7x7dbl_3", channels, row),
            Conv("branch7x7dbl_4", channels, column),
            Conv("branch7x7dbl_5", 192, row),
        ),
        (AVERAGE, Conv("branch_pool", 192)),
    )


def block_d() -> tuple:
    return (
        (Conv("branch3x3_1", 192), Conv("branch3x3_2", 320, 3, 2, False)),
        (
            Conv("branch7x7x3_1", 192),
            Conv("branch7x7x3_2", 192, (1, 7)),
            Conv("branch7x7x3_3", 192, (7, 1)),
            Conv("branch7x7x3_4", 192, 3, 2, False),
        ),
        (HALVE,),
    )


def block_e(pool: str) -> tuple:
    def cross(name: str) -> tuple:  # both see the same, side by side
        return ((Conv(f"{name}a", 384, (1, 3)),), (Conv(f"{name}b", 384, (3, 1)),))

    return (
        (Conv("branch1x1", 320),),
        (Conv("branch3x3_1", 384), cross("branch3x3_2")),
        (Conv("branch3x3dbl_1", 448), Conv("branch3x3dbl_2", 384, 3), cross("branch3x3dbl_3")),
        (pool, Conv("branch_pool", 192)),
    )


# Steps in turn: a convolution, a pooling, or a block of branches, whose results are concatenated.
STEPS = (
    Conv("Conv2d_1a_3x3", 32, 3, 2, False),
    Conv("Conv2d_2a_3x3", 32, 3, 1, False),
    Conv("Conv2d_2b_3x3", 64, 3),
    HALVE,
    Conv("Conv2d_3b_1x1", 80),
    Conv("Conv2d_4a_3x3", 192, 3, 1, False),
    HALVE,
    ("Mixed_5b", block_a(32)),
    ("Mixed_5c", block_a(64)),
    ("Mixed_5d", block_a(64)),
    ("Mixed_6a", block_b()),
    ("Mixed_6b", block_c(128)),
    ("Mixed_6c", block_c(160)),
    ("Mixed_6d", block_c(160)),
    ("Mixed_6e", block_c(192)),
    ("Mixed_7a", block_d()),
    ("Mixed_7b", block_e(AVERAGE)),
    ("Mixed_7c", block_e(MAXIMUM)),
)


class ConvNorm(nn.Cell):
    """Convolution, batch norm, ReLU: (B, C_in, H, W) -> (B, C_out, H', W'). `name_in_files` is that of the layer."""

    def __init__(self, in_channels: int, conv: Conv, prefix: str) -> None:
        super().__init__()
        height, width = kernel = conv.kernel if isinstance(conv.kernel, tuple) else (conv.kernel,) * 2
        padding = (height // 2, height // 2, width // 2, width // 2) if conv.padded else 0
        self.name_in_files = prefix + conv.name
        self.conv = nn.Conv2d(in_channels, conv.channels, kernel, conv.stride, "pad", padding, has_bias=False)
        self.norm = nn.BatchNorm2d(conv.channels, eps=1e-3)

    def construct(self, x: Tensor) -> Tensor:
        return ops.relu(self.norm(self.conv(x)))


class Branches(nn.Cell):
    """(B, C_in, H, W) -> what each branch makes of it, concatenated: (B, C_out, H', W')"""

    def __init__(self, in_channels: int, branches: tuple, prefix: str) -> None:
        super().__init__()
        chains = [_chain(in_channels, branch, prefix) for branch in branches]
        self.branches = nn.CellList([cells for cells, _ in chains])
        self.out_channels = sum(channels for _, channels in chains)

    def construct(self, x: Tensor) -> Tensor:
        results = ()
        for branch in self.branches:
            results += (branch(x),)
        return ops.cat(results, axis=1)


def _chain(channels: int, steps: tuple, prefix: str = "") -> tuple[nn.SequentialCell, int]:
    """Steps in turn, and their output's channels."""
    cells = []
    for step in steps:
        if isinstance(step, Conv):
            cells.append(ConvNorm(channels, step, prefix))
            channels = step.channels
        elif step == AVERAGE:
            cells.append(nn.AvgPool2d(3, 1, pad_mode="pad", padding=1, count_include_pad=False))
        elif step == MAXIMUM:
            cells.append(nn.MaxPool2d(3, 1, pad_mode="pad", padding=1))
        elif step == HALVE:
            cells.append(nn.MaxPool2d(3, 2))
        else:
            named = isinstance(step[0], str)
            cells.append(Branches(channels, step[1] if named else step, f"{step[0]}." if named else prefix))
            channels = cells[-1].out_channels
    return nn.SequentialCell(*cells), channels


class InceptionV3(nn.Cell):
    """image: (B, 3, H, W), RGB in [-1, 1] -> features: (B, 2048)"""

    def __init__(self) -> None:
        super().__init__()
        self.steps, _ = _chain(3, STEPS)
        self.set_train(False)

    def construct(self, image: Tensor) -> Tensor:
        x = ops.interpolate(image, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        return self.steps(x).mean(axis=(2, 3))
