"""The forms of layers for a CPU, and MindSpore's own for other devices: the same results and gradients."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.ctsdg.bigff import BiGFF
from src.ctsdg.cfa import MultiScaleFeatureAggregation, RegionAffinityLearning
from src.ctsdg.generator import OutputHead
from src.ctsdg.partial_conv import PartialConv
from src.dgts.upsampler.spade import SPADE
from src.layers import reduce
from src.layers.activation import LeakyReLU
from src.layers.backend import on_cpu, plain_layers
from src.layers.conv import Conv2d
from src.layers.pool import MaxPool
from src.layers.positional_norm import positional_norm
from src.layers.product import gram
from src.layers.resize import UpsampleBilinear, over_channels, upsample_nearest
from src.layers.spectral_norm import SpectralNormConv2d
from src.layers.unfold import Unfold, fold
from src.losses.adversarial import binary_cross_entropy
from src.losses.psnr import hole_psnr
from tests.parity.gradients import gradients


class Function(nn.Cell):
    """A function of a layer, as a cell."""

    def __init__(self, function, *arguments) -> None:
        super().__init__()
        self.function, self.arguments = function, arguments

    def construct(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs, *self.arguments)


class Masked(nn.Cell):
    """A partial convolution of two feature maps, whose masks are fixed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = PartialConv((3, 2), 4, 3)
        known = np.random.default_rng(0).random((2, 2, 1, 8, 8)) > 0.5
        self.masks = tuple(Tensor(mask.astype(np.float32)) for mask in known)

    def construct(self, a: Tensor, b: Tensor) -> Tensor:
        return self.conv((a, b), self.masks)[0]


# A cell, and the shapes of its inputs.
LAYERS = {
    "convolution of a large map": (lambda: Conv2d(3, 5, 3), (2, 3, 32, 32)),
    "convolution of a small map": (lambda: Conv2d(6, 4, 3), (2, 6, 4, 4)),
    "convolution with stride": (lambda: Conv2d(3, 5, 5, 2), (2, 3, 16, 16)),
    "convolution with dilation": (lambda: Conv2d(3, 5, 3, dilation=2), (2, 3, 16, 16)),
    "LeakyReLU": (lambda: LeakyReLU(0.2), (2, 3, 4, 5)),
    "bilinear doubling": (lambda: UpsampleBilinear(), (2, 3, 4, 6)),
    "bilinear doubling of corners": (lambda: UpsampleBilinear(True), (2, 3, 4, 6)),
    "nearest doubling": (lambda: Function(upsample_nearest), (2, 3, 4, 5)),
    "a map over channels": (lambda: Function(over_channels, 3), (2, 1, 4, 5)),
    "total": (lambda: Function(reduce.total), (2, 3, 4, 5)),
    "mean": (lambda: Function(reduce.mean), (2, 3, 4, 5)),
    "sum of squares": (lambda: Function(reduce.sum_squares), (2, 3, 4, 5)),
    "sum of samples": (lambda: Function(reduce.sum_samples), (2, 3, 4, 5)),
    "sum of channels": (lambda: Function(reduce.sum_channels), (2, 3, 20)),
    "channels repeated": (lambda: Function(reduce.repeat_channels, 3), (2, 1, 20)),
    "lines": (lambda: Unfold((1, 3), padding=1), (2, 3, 4, 6)),
    "half blocks": (lambda: Unfold((2, 4), padding=1, stride=2), (2, 3, 8, 12)),
    "blocks": (lambda: Function(fold, (4, 20), (2, 4), (0, 1), (2, 2)), (2, 3, 8, 20)),
    "strips": (lambda: Function(fold, (12, 10), (6, 10), (1, 0), (4, 10)), (2, 3, 60, 3)),
    "max pool": (lambda: nn.SequentialCell(nn.ReLU(), MaxPool(3, 2, padding=1)), (2, 3, 8, 10)),
    "Gram matrices": (lambda: Function(gram), (2, 3, 4, 5)),
    "positional norm": (lambda: Function(positional_norm), (2, 8, 4, 5)),
    "spectral norm": (lambda: SpectralNormConv2d(3, 5, 4, 2, padding=1), (2, 3, 8, 8)),
    "partial convolution": (Masked, (2, 3, 8, 8), (2, 2, 8, 8)),
    "Bi-GFF": (lambda: BiGFF(4), (2, 4, 8, 8), (2, 4, 8, 8)),
    "region affinity": (RegionAffinityLearning, (2, 3, 8, 12)),
    "aggregation": (lambda: MultiScaleFeatureAggregation(4), (2, 4, 16, 16)),
    "output head": (lambda: OutputHead(4, False), (2, 4, 8, 8), (2, 3, 16, 16)),
    "SPADE": (lambda: SPADE(8, 4, 0.1), (2, 8, 4, 4), (2, 4, 4, 4)),
}


# Of these even the rounding is the same.
EXACT = ("half blocks", "blocks", "strips", "max pool")


def results(make, inputs: tuple) -> list[np.ndarray]:
    """Output, gradients of inputs and of weights, with the same weights each time."""
    np.random.seed(0)
    cell, rng = make().set_train(), np.random.default_rng(1)
    for parameter in cell.trainable_params():
        parameter.set_data(Tensor(rng.standard_normal(parameter.shape).astype(np.float32)))
    found = cell(*inputs)
    upstream = Tensor(rng.standard_normal(found.shape).astype(np.float32))
    return [found.asnumpy(), *gradients(cell, inputs, upstream, *cell.trainable_params())]


@pytest.mark.parametrize("name", LAYERS)
def test_both_forms_agree(mode, rand, name):
    make, *shapes = LAYERS[name]
    inputs = tuple(rand(*shape) for shape in shapes)
    on_a_cpu = results(make, inputs)
    with plain_layers():
        plain = results(make, inputs)
    for ours, theirs in zip(on_a_cpu, plain, strict=True):
        tolerance = 0.0 if name in EXACT else 1e-6
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=tolerance * max(1.0, np.abs(ours).max()))


def limited_psnr(output, image, hole):
    return hole_psnr(output, image, hole, 50.0)


@pytest.mark.parametrize("loss", [binary_cross_entropy, limited_psnr])
def test_losses_agree(mode, rand, loss):
    a, b, hole = (ops.sigmoid(rand(2, 1, 8, 8)) for _ in range(3))
    inputs = (a, b) if loss is binary_cross_entropy else (a, b, (hole > 0.5).astype(ms.float32))
    on_a_cpu = results(lambda: Function(loss), inputs)
    with plain_layers():
        plain = results(lambda: Function(loss), inputs)
    for ours, theirs in zip(on_a_cpu[:2], plain[:2], strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=2e-6 * max(1.0, np.abs(ours).max()))


def test_the_plain_form_is_mindspores_own():
    assert on_cpu()
    with plain_layers():
        assert not on_cpu()
        assert isinstance(Conv2d(3, 4, 3).convolution, ops.Conv2D)
        assert isinstance(LeakyReLU(0.2), nn.LeakyReLU)
    assert on_cpu()
