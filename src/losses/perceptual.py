"""Perceptual and style losses over VGG features (Johnson et al., ECCV 2016; Gatys et al., CVPR 2016)."""

from mindspore import Tensor, nn, ops

from ..layers.conv import Conv2d
from ..layers.product import gram
from ..layers.reduce import mean

VGG16_STAGES = ((64, 64), (128, 128), (256, 256, 256))  # channels of each convolution; a pool ends a stage
VGG19_STAGES = ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4)
VGG19_TAPS = tuple(f"relu{i + 1}_{j + 1}" for i, stage in enumerate(VGG19_STAGES) for j in range(len(stage)))


class VGG16Features(nn.Cell):
    """VGG16 up to its third pool, frozen.

    image: (B, 3, H, W) -> features after pools 1, 2, 3: (B, 64, H/2, W/2), (B, 128, H/4, W/4), (B, 256, H/8, W/8)
    """

    def __init__(self) -> None:
        super().__init__()
        stages, in_channels = [], 3
        for stage in VGG16_STAGES:
            cells = []
            for out_channels in stage:
                cells += [Conv2d(in_channels, out_channels, 3), nn.ReLU()]
                in_channels = out_channels
            stages.append(nn.SequentialCell(*cells, nn.MaxPool2d(2, 2)))
        self.stages = nn.CellList(stages)
        _freeze(self)

    def construct(self, image: Tensor) -> tuple:
        features = ()
        for stage in self.stages:
            image = stage(image)
            features += (image,)
        return features


class VGG19Features(nn.Cell):
    """The activations of VGG19 named in `taps` ("relu1_1" … "relu5_4"), frozen; nothing deeper is computed.

    image: (B, 3, H, W) -> relu`i_j`: (B, C, H / 2^(i-1), W / 2^(i-1)), in the order of `taps`

    All sixteen convolutions have their parameters whatever the taps, so that one file fills every network.
    """

    def __init__(self, taps: tuple[str, ...]) -> None:
        super().__init__()
        unknown = set(taps) - set(VGG19_TAPS)
        if unknown or not taps:
            raise ValueError(f"VGG19 has {VGG19_TAPS[0]} to {VGG19_TAPS[-1]}, not {sorted(unknown)}")
        channels = (3, *(channels for stage in VGG19_STAGES for channels in stage))
        self.convs = nn.CellList([Conv2d(channels[i], channels[i + 1], 3) for i in range(len(VGG19_TAPS))])
        self.pool = nn.MaxPool2d(2, 2)
        self.pooled = tuple(i > 0 and tap.endswith("_1") for i, tap in enumerate(VGG19_TAPS))  # a pool goes before
        self.taps = tuple(VGG19_TAPS.index(tap) for tap in taps)
        self.depth = max(self.taps) + 1
        _freeze(self)

    def construct(self, image: Tensor) -> tuple:
        x, activations = image, ()
        for i in range(self.depth):
            x = ops.relu(self.convs[i](self.pool(x) if self.pooled[i] else x))
            activations += (x,)
        features = ()
        for i in self.taps:
            features += (activations[i],)
        return features


def _freeze(network: nn.Cell) -> None:
    network.set_train(False)
    for parameter in network.get_parameters():
        parameter.requires_grad = False


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference: scalar."""
    return mean(ops.abs(a - b))


def perceptual_loss(features: tuple, target: tuple) -> Tensor:
    """Sum over levels of the L1 distance of VGG features; levels are (B, C, H, W) each."""
    loss = 0.0
    for a, b in zip(features, target):  # noqa: B905 (graph mode has no strict)
        loss = loss + l1(a, b)
    return loss


def style_loss(features: tuple, target: tuple) -> Tensor:
    """Sum over levels of the L1 distance of Gram matrices; levels are (B, C, H, W) each."""
    loss = 0.0
    for a, b in zip(features, target):  # noqa: B905
        loss = loss + l1(gram(a), gram(b))
    return loss
