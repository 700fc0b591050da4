"""The published upsampler at full width with the same weights: its activations, and two iterations of its training."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.checkpoint import load_network, read_network
from src.convert import upsampler as convert
from src.convert import vgg
from src.dgts.discriminator import Discriminator
from src.dgts.upsampler import Upsampler, masked_input
from src.dgts.upsampler_loss import UPSAMPLER_TERMS, VGG_TAPS, DiscriminatorLoss, UpsamplerLoss, UpsamplerLossWeights
from src.losses.perceptual import VGG19Features
from src.training.adamw import AdamW
from src.training.train_step import TrainOneStep
from src.training.upsampler import BETAS
from tests.parity.digests import assert_close, digest
from tests.parity.official import write_state
from tests.parity.rule_weights import rule_state

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[1] / "data" / "dgts"
SHAPES = json.loads((DATA / "official_shapes.json").read_text())

# Modules of the official upsampler whose activations were recorded, and ours.
CELLS = {
    "fc": "low0",
    "fc2": "low1",
    "encoder": "encoder",
    "fuse_conv": "fuse",
    "res_blocks": "residual",
    "attn": "attention",
    "sp0": "block0",
    "sp1": "block1",
}


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Callable:
    """published(network): the cell filled from a file in the official layout."""
    folder = tmp_path_factory.mktemp("published")
    makers = {
        "upsampler": (Upsampler, convert.from_official),
        "discriminator": (Discriminator, convert.from_official),
        "upsampler_vgg19": (partial(VGG19Features, VGG_TAPS), vgg.vgg19_from_official),
    }

    def fill(name: str) -> nn.Cell:
        make, from_official = makers[name]
        path = write_state(folder / f"{name}.pth", rule_state(SHAPES[name]))
        from_official(path, folder / f"{name}.ckpt")
        network = make()
        load_network(folder / f"{name}.ckpt", network, read_network(folder / f"{name}.ckpt")[1])
        return network

    return fill


def test_output_and_every_activation_are_the_published_ones(published):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    expected, upsampler, seen = np.load(DATA / "upsampler.npz"), published("upsampler").set_train(False), {}
    cells = dict(upsampler.cells_and_names())
    for name, ours in CELLS.items():
        cells[ours].register_forward_hook(lambda cell, inputs, result, name=name: seen.update({name: result}))
    output = upsampler(Tensor(expected["masked"]), Tensor(expected["low"])).asnumpy()
    np.testing.assert_allclose(output, expected["output"], rtol=0, atol=1e-4)
    assert {f"act.{name}" for name in seen} == {name for name in expected if name.startswith("act.")}
    for name, result in seen.items():
        channels, size = result.shape[1:3]
        found = result.asnumpy()[:, :: channels // 16, :: size // 16, :: size // 16]
        np.testing.assert_allclose(found, expected[f"act.{name}"], rtol=0, atol=1e-4, err_msg=name)


def test_graph_mode_gives_the_same_output(published):
    ms.set_context(mode=ms.GRAPH_MODE)
    expected = np.load(DATA / "upsampler.npz")
    output = published("upsampler").set_train(False)(Tensor(expected["masked"]), Tensor(expected["low"])).asnumpy()
    ms.set_context(mode=ms.PYNATIVE_MODE)
    np.testing.assert_allclose(output, expected["output"], rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def training() -> dict[str, np.ndarray]:
    return dict(np.load(DATA / "upsampler_training.npz"))


@pytest.fixture(scope="module")
def run(published, training) -> dict:
    """Losses of two iterations, gradients of the first, state dicts after the second. Needs 12 GB of memory."""
    networks = {name: published(name) for name in ("upsampler", "discriminator")}
    upsampler, discriminator = networks.values()
    image, low, mask = (Tensor(x) for x in (training["image"], training["low"], 1 - training["masked"][:, 3:]))
    np.testing.assert_array_equal(masked_input(image, mask).asnumpy(), training["masked"])

    losses = UpsamplerLoss(upsampler, discriminator, published("upsampler_vgg19"), UpsamplerLossWeights())
    optimizer = AdamW(upsampler.trainable_params(), 1e-4, BETAS)
    step = TrainOneStep(losses, optimizer).set_train()
    losses.vgg.set_train(False)
    discriminator_optimizer = AdamW(discriminator.trainable_params(), 4e-4, BETAS)
    discriminator_loss = DiscriminatorLoss(upsampler, discriminator)
    discriminator_step = TrainOneStep(discriminator_loss, discriminator_optimizer, has_aux=False).set_train()

    ms.set_context(mode=ms.GRAPH_MODE)
    result = {"losses": []}
    for _ in range(2):
        total, terms, _ = step(image, mask, low)
        if not result["losses"]:
            names = {p.name: name for name, p in upsampler.parameters_and_names()}
            moments = zip(optimizer.parameters, optimizer.moments1, strict=True)  # with a beta of 0 the gradients
            result["gradients"] = {names[p.name]: moment.asnumpy().copy() for p, moment in moments}
        values = (*terms, total, discriminator_step(image, mask, low))
        names_of_losses = (*UPSAMPLER_TERMS, "generator_loss", "discriminator_loss")
        result["losses"].append({n: float(v.asnumpy()) for n, v in zip(names_of_losses, values, strict=True)})
    ms.set_context(mode=ms.PYNATIVE_MODE)
    result["states"] = {
        name: {ours: p.asnumpy().copy() for ours, p in network.parameters_and_names()}
        for name, network in networks.items()
    }
    return result


def recorded(training: dict, prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in training.items() if name.startswith(prefix)}


@pytest.mark.parametrize(("iteration", "tolerance"), [(1, 1e-3), (2, 1e-2)])
def test_every_loss_is_the_published_one(run, iteration, tolerance):
    expected = json.loads((DATA / "upsampler_training_losses.json").read_text())[iteration - 1]
    assert run["losses"][iteration - 1] == pytest.approx(expected, rel=tolerance)


def test_first_gradients_are_the_published_ones(run, training):
    pairs = dict(convert.layout("upsampler", 1.0)[1])
    found = {f"upsampler/{pairs[name]}": digest(gradient) for name, gradient in run["gradients"].items()}
    expected = recorded(training, "grad1.")
    assert set(found) == set(expected)
    assert_close(found, expected, norm=1e-2, entry=0.1)


def test_weights_after_two_iterations_are_the_published_ones(run, training):
    """Spectral vectors and running statistics with them. The published batch norms count no batches."""
    found = {}
    for name, state in run["states"].items():
        for ours, theirs in convert.layout(name, 1.0)[1]:
            found[f"{name}/{theirs}"] = digest(state[ours] if ours else np.zeros(()))
    expected = recorded(training, "after2.")
    assert set(found) == set(expected)
    # Adam without momentum moves an entry a whole step even where its gradient is rounding noise.
    assert_close(found, expected, norm=2e-3, entry=5e-2)
