"""LPIPS (Zhang et al., CVPR 2018), version 0.1: a distance of two images, learned from what people find similar."""

from typing import NamedTuple

import numpy as np
from mindspore import Tensor, nn, ops

# ImageNet's mean and standard deviation, which the trunks were trained with, for images in [-1, 1].
MEAN = 2 * np.array([0.485, 0.456, 0.406]) - 1
STD = 2 * np.array([0.229, 0.224, 0.225])
EPSILON = 1e-10  # beside the length of a feature vector


class Trunk(NamedTuple):
    """A classifier up to the last of the activations that are compared."""

    name: str
    # Stages of convolutions: channels, kernel, stride, padding. The activations that end a stage are compared.
    stages: tuple[tuple[tuple[int, int, int, int], ...], ...]
    pooled: tuple[bool, ...]  # does max pooling go before the stage?
    pool: int  # its kernel; its stride is 2


def _vgg_stage(channels: int, convs: int) -> tuple:
    return ((channels, 3, 1, 1),) * convs


ALEXNET = Trunk(
    "alexnet",
    (((64, 11, 4, 2),), ((192, 5, 1, 2),), ((384, 3, 1, 1),), ((256, 3, 1, 1),), ((256, 3, 1, 1),)),
    (False, True, True, False, False),
    pool=3,
)
VGG16 = Trunk(
    "vgg16",
    (_vgg_stage(64, 2), _vgg_stage(128, 2), _vgg_stage(256, 3), _vgg_stage(512, 3), _vgg_stage(512, 3)),
    (False, True, True, True, True),
    pool=2,
)


class LPIPS(nn.Cell):
    """Weighted squared differences of feature vectors of unit length, averaged over places, summed over stages.

    a, b: (B, 3, H, W), RGB in [-1, 1] -> (B,), 0 for equal images
    """

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        stages, weights, in_channels = [], [], 3
        for stage, pooled in zip(trunk.stages, trunk.pooled, strict=True):
            cells = [nn.MaxPool2d(trunk.pool, 2)] if pooled else []
            for channels, kernel, stride, padding in stage:
                conv = nn.Conv2d(in_channels, channels, kernel, stride, "pad", padding, has_bias=True)
                cells += [conv, nn.ReLU()]
                in_channels = channels
            stages.append(nn.SequentialCell(*cells))
            weights.append(nn.Conv2d(in_channels, 1, 1, has_bias=False))
        self.stages, self.weights = nn.CellList(stages), nn.CellList(weights)
        self.mean = Tensor(MEAN.reshape(1, 3, 1, 1).astype(np.float32))
        self.std = Tensor(STD.reshape(1, 3, 1, 1).astype(np.float32))
        self.set_train(False)

    def construct(self, a: Tensor, b: Tensor) -> Tensor:
        batch = a.shape[0]
        x = (ops.cat((a, b)) - self.mean) / self.std
        distance = 0.0
        for i in range(len(self.stages)):
            x = self.stages[i](x)
            unit = x / (ops.sqrt((x * x).sum(axis=1, keepdims=True)) + EPSILON)
            difference = unit[:batch] - unit[batch:]
            distance = distance + self.weights[i](difference * difference).mean(axis=(1, 2, 3))
        return distance
