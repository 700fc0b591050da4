"""One iteration of each stage with CTSDG's own networks, small."""

from itertools import pairwise

import numpy as np
import pytest
from mindspore import nn

from model_utils.config import load_config
from model_utils.device import prepare
from src.ctsdg.generator import Generator
from src.ctsdg.model import network
from src.ctsdg.training import CTSDGTraining
from src.data.dataset import build_training_dataset, iterate
from src.layers.spectral_norm import SpectralNormConv2d
from src.training.trainer import training_samples
from tests.command_line import words
from tests.training.conftest import SMALL

TRAIN_RATE, FINETUNE_RATE = 2e-4, 5e-5


class CountingGenerator(Generator):
    """CTSDG's generator; `calls` counts how often Python runs its forward: at each call, or once for a compilation."""

    calls = 0

    def construct(self, *inputs):
        CountingGenerator.calls += 1
        return super().construct(*inputs)


class CountingTraining(CTSDGTraining):
    def make_networks(self) -> dict[str, nn.Cell]:
        networks = super().make_networks()
        return networks | {"generator": network(self.info("generator"), CountingGenerator)}


def values(network: nn.Cell) -> dict[str, np.ndarray]:
    return {name: p.asnumpy().copy() for name, p in network.parameters_and_names()}


@pytest.fixture(scope="module", params=["pynative", pytest.param("graph", marks=pytest.mark.slow)])
def history(request, images):
    """The networks' values at the start and after one iteration of each stage, forwards counted (pynative only)."""
    config = load_config(words(SMALL | {"data_root": images, "mode": request.param}))
    prepare(config)
    counted = request.param == "pynative"
    model = CountingTraining(config) if counted else CTSDGTraining(config)
    states = [{name: values(network) for name, network in model.networks.items()}]
    rates, calls = [], []
    batches = iterate(build_training_dataset(training_samples(config, True), 0, 2, config.batch_size))
    for stage, batch in zip((1, 2), batches, strict=True):
        model.start_stage(stage)
        CountingGenerator.calls = 0
        losses = model.step(batch, stage - 1)
        calls.append(CountingGenerator.calls if counted else 1)
        rates.append([float(o.learning_rate.asnumpy()) for o in model.optimizers.values()])
        states.append({name: values(network) for name, network in model.networks.items()})
        assert len(losses) == len(model.LOSSES)
    yield states, rates, calls, model
    prepare(load_config(["--mode", "pynative"]))


def test_one_forward_of_the_generator_in_each_iteration(history):
    *_, calls, _ = history
    assert calls == [1, 1]


def test_spectral_norms_take_three_power_iterations(history):
    """For the generator's step, on real and on generated images; the weights change after all three."""
    states, *_, model = history
    discriminator = model.networks["discriminator"]
    cells = [name for name, cell in discriminator.cells_and_names() if isinstance(cell, SpectralNormConv2d)]
    assert len(cells) == 2 * 5
    for before, after in pairwise(states):
        before, after = before["discriminator"], after["discriminator"]
        for name in cells:
            matrix = before[f"{name}.weight"].astype(np.float64)
            matrix = matrix.reshape(len(matrix), -1)
            trail = [before[f"{name}.u"]]
            for _ in range(4):
                v = trail[-1] @ matrix
                u = matrix @ (v / np.linalg.norm(v))
                trail.append(u / np.linalg.norm(u))
            np.testing.assert_allclose(after[f"{name}.u"], trail[3], atol=1e-5)
            if len(matrix) > 1:
                assert np.abs(trail[4] - trail[3]).max() > 1e-4  # so that two or four would be seen


def test_batch_norms_of_the_generator_are_frozen_in_stage_2_but_learn(history):
    states, *_, model = history
    start, stage1, stage2 = (state["generator"] for state in states)
    norms = [name for name, cell in model.networks["generator"].cells_and_names() if isinstance(cell, nn.BatchNorm2d)]
    assert norms
    for name in norms:
        for kind in ("moving_mean", "moving_variance"):
            assert np.any(start[f"{name}.{kind}"] != stage1[f"{name}.{kind}"]), name
            np.testing.assert_array_equal(stage1[f"{name}.{kind}"], stage2[f"{name}.{kind}"])
        for kind in ("gamma", "beta"):
            assert np.any(stage1[f"{name}.{kind}"] != stage2[f"{name}.{kind}"]), name


def test_batch_norms_of_the_discriminator_never_freeze(history):
    states, *_, model = history
    for name, cell in model.networks["discriminator"].cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            means = [state["discriminator"][f"{name}.moving_mean"] for state in states]
            assert np.any(means[0] != means[1])
            assert np.any(means[1] != means[2])


def test_each_stage_uses_its_rate(history):
    states, rates, *_ = history
    for stage, rate in enumerate((TRAIN_RATE, FINETUNE_RATE)):
        assert rates[stage] == pytest.approx([rate, 0.1 * rate])
        for name, expected in zip(("generator", "discriminator"), rates[stage], strict=True):
            before, after = states[stage][name], states[stage + 1][name]
            trained = [key for key in before if key.endswith(("weight", "gamma"))]
            changes = np.concatenate([np.abs(after[key] - before[key]).ravel() for key in trained])
            # The first step of a fresh Adam is the rate, less where the gradient is next to nothing.
            assert changes.max() == pytest.approx(expected, rel=0.02)


def test_without_the_adversarial_loss_the_discriminator_does_not_learn(images):
    config = load_config(words(SMALL | {"data_root": images, "adversarial_loss_w": 0, "seamless": True}))
    prepare(config)
    model = CTSDGTraining(config)
    before = {name: values(network) for name, network in model.networks.items()}
    model.start_stage(1)
    (batch,) = iterate(build_training_dataset(training_samples(config, True), 0, 1, config.batch_size))
    losses = dict(zip(model.LOSSES, map(float, model.step(batch, 0)), strict=True))
    assert losses["loss_adversarial"] == losses["discriminator_loss"] == 0
    assert losses["loss_hole"] > 0
    after = {name: values(network) for name, network in model.networks.items()}
    for name, array in before["discriminator"].items():
        np.testing.assert_array_equal(array, after["discriminator"][name])
    changed = [name for name, array in before["generator"].items() if np.any(array != after["generator"][name])]
    assert len(changed) > 0.9 * len(before["generator"])
