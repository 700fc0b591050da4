"""Perceptual and style losses over VGG features (Johnson et al., ECCV 2016; Gatys et al., CVPR 2016)."""

from mindspore import Tensor, nn, ops

from src.layers.conv import Conv2d

VGG16_STAGES = ((64, 64), (128, 128), (256, 256, 256))  # channels of each convolution; a pool ends a stage


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
        self.set_train(False)
        for parameter in self.get_parameters():
            parameter.requires_grad = False

    def construct(self, image: Tensor) -> tuple:
        features = ()
        for stage in self.stages:
            image = stage(image)
            features += (image,)
        return features


def gram(features: Tensor) -> Tensor:
    """Correlation of channels: (B, C, H, W) -> (B, C, C), divided by C·H·W."""
    batch, channels, height, width = features.shape
    flat = features.reshape(batch, channels, height * width)
    return ops.bmm(flat, flat.swapaxes(1, 2)) / (channels * height * width)


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference: scalar."""
    return ops.abs(a - b).mean()


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
