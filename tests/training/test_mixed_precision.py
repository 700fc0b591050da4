"""Convolutions in half precision: what stays float32, the loss scale, and that training goes as well."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

import train as train_py
from model_utils.config import load_config, refuse_unused
from model_utils.entry import run
from src.checkpoint import read_network
from src.errors import InputError
from src.layers.conv import Conv2d
from src.layers.precision import convolutions_in
from src.layers.spectral_norm import SpectralNormConv2d
from src.training.loss_scale import LossScale
from src.training.train_step import TrainOneStepCell
from tests.command_line import words
from tests.training.conftest import SMALL, TinyTraining, assert_same, rows, weights

ROUNDING = {ms.float16: 2.0**-11, ms.bfloat16: 2.0**-8}


class Loss(nn.Cell):
    def __init__(self, network: nn.Cell) -> None:
        super().__init__()
        self.network = network

    def construct(self, x):
        return self.network(x).sin().sum()


class RoundedConvolution(nn.Cell):
    """What a convolution in `dtype` is on a device that has it: a CPU lacks bfloat16's."""

    def __init__(self, convolution: nn.Cell, dtype: ms.Type) -> None:
        super().__init__()
        self.convolution, self.dtype = convolution, dtype

    def construct(self, x, weight):
        assert x.dtype == self.dtype and weight.dtype == self.dtype
        return self.convolution(x.astype(ms.float32), weight.astype(ms.float32)).astype(self.dtype)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kind", [Conv2d, SpectralNormConv2d])
def test_convolutions_round_and_nothing_else_does(mode, rand, kind, stride, dtype):
    x = rand(1, 3, 16, 16)
    results = []
    for half in (False, True):
        np.random.seed(0)
        cell = kind(3, 4, 3, stride) if kind is Conv2d else kind(3, 4, 3, stride, padding=1)
        cell.weight.set_data(Tensor(np.random.default_rng(0).standard_normal(cell.weight.shape), ms.float32))
        if half:
            convolutions_in(dtype, cell)
            if dtype == ms.bfloat16:
                cell.convolution = RoundedConvolution(cell.convolution, dtype)
        gradient, of_weights = ms.grad(Loss(cell), 0, ms.ParameterTuple([cell.weight]))(x)
        results.append([tensor.asnumpy() for tensor in (cell(x) - cell(0 * x), gradient, of_weights[0])])
    for a, b in zip(*results, strict=True):
        assert b.dtype == np.float32
        assert 0.01 * ROUNDING[dtype] < np.abs(a - b).max() / np.abs(a).max() < 20 * ROUNDING[dtype]


@pytest.mark.parametrize("kind", [Conv2d, SpectralNormConv2d])
def test_dilated_convolutions_stay_in_float32(kind):
    cell = kind(3, 4, 3, dilation=2)
    convolutions_in(ms.float16, cell)
    assert cell.dtype == ms.float32


def half(**options) -> TinyTraining:
    """CTSDG's training of two tiny networks, with --amp_level O2, before its first iteration."""
    model = TinyTraining(load_config(words(SMALL | {"amp_level": "O2", "data_root": "unused"} | options)))
    model.start_stage(1)
    return model


def test_float16_alone_has_a_loss_scale():
    assert list(half().loss_scales) == ["generator", "discriminator"]
    model = half(amp_dtype="bfloat16", device_target="Ascend")
    assert model.loss_scales == {}
    assert model.networks["discriminator"].conv.dtype == ms.bfloat16


@pytest.mark.parametrize(
    ("options", "error"),
    [({"amp_level": "O0"}, "give that too"), ({"device_target": "CPU"}, "CPU back end has no such convolution")],
)
def test_bfloat16_that_would_do_nothing_or_fail_is_refused(options, error):
    with pytest.raises(InputError, match=f"--amp_dtype bfloat16: .*{error}"):
        half(amp_dtype="bfloat16", **options)


class Steep(nn.Cell):
    """A loss whose gradient, scaled, is beyond float32 while the scale is above 4."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = ms.Parameter(Tensor([1.0], ms.float32), name="weight")

    def construct(self, x):
        return (self.weight * x).sum()


def test_the_loss_scale_finds_itself(mode):
    network, scale = Steep(), LossScale()
    step = TrainOneStepCell(network, nn.SGD(network.trainable_params(), 1e-18), has_aux=False, loss_scale=scale)
    scale.state.set_data(Tensor([32.0, 0.0]))
    taken = []
    for _ in range(5):
        before = step.count.counts.asnumpy()[0]
        step(Tensor([4e18], ms.float32))  # squares above 3e38 are not finite
        skipped, in_a_row = step.count.counts.asnumpy()
        taken.append((skipped == before, in_a_row, scale.state.asnumpy()[0]))
    assert taken[:3] == [(False, 0, 16.0), (False, 0, 8.0), (False, 0, 4.0)]  # a smaller scale was left to try
    assert taken[3:] == [(True, 0, 4.0)] * 2
    assert network.weight.asnumpy()[0] == pytest.approx(1 - 2 * 4)
    scale.state.set_data(Tensor([4.0, LossScale.PATIENCE - 1]))
    step(Tensor([1.0], ms.float32))
    assert tuple(scale.state.asnumpy()) == (8.0, 0)
    scale.state.set_data(Tensor([1.0, 5.0]))
    step(Tensor([np.inf], ms.float32))
    assert (step.count.counts.asnumpy()[1], *scale.state.asnumpy()) == (1, 1.0, 0)


def test_resuming_takes_the_loss_scale_along(train):
    options = {"amp_level": "O2", "train_iter": 3}
    straight = train("straight", **options)
    train("parts", **options | {"train_iter": 1})
    assert_same(straight, train("parts", **options, resume=True), 3)
    assert tuple(weights(straight, 3, "trainer")["discriminator.loss_scale"]) == (LossScale.FIRST, 3)


def test_dgts_is_refused():
    with pytest.raises(InputError, match="--amp_level O2: dgts does not use it, only ctsdg and upsampler do"):
        refuse_unused(load_config(["--model", "dgts", "--amp_level", "O2"]), "dgts")


@pytest.mark.slow
def test_float16_trains_like_float32(images, tmp_path):
    """CTSDG's own networks, narrow, with the adversarial loss. At higher rates any rounding takes another path."""
    runs = {}
    for level in ("O0", "O2"):
        options = SMALL | {"data_root": images, "save_path": tmp_path / level, "amp_level": level}
        options |= {"width": 0.05, "train_iter": 100, "mode": "graph", "gen_lr_train": 2e-4}
        run(train_py.main, words(options))
        runs[level] = rows(tmp_path / level)
    for network in ("generator", "discriminator"):
        arrays, _, _ = read_network(tmp_path / "O2" / "checkpoints" / "0000100" / f"{network}.ckpt")
        assert all(np.isfinite(array).all() for array in arrays.values())
    for loss in ("generator_loss", "loss_valid", "discriminator_loss"):
        float32, float16 = ([float(row[loss]) for row in runs[level]] for level in ("O0", "O2"))
        np.testing.assert_allclose(float16, float32, rtol=0.03)
        assert float32 != float16
    assert float16[-1] < 0.98 * float16[0]
