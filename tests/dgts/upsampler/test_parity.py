"""The published upsampler at full width with the same weights: its activations, and two iterations of its training."""

import json
import subprocess
import sys

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.checkpoint import load_network
from src.dgts.upsampler import convert
from src.dgts.upsampler.fused import fuse
from src.dgts.upsampler.loss import UPSAMPLER_TERMS
from src.dgts.upsampler.network import Upsampler
from src.models import get_model
from tests.command_line import ROOT
from tests.dgts.conftest import DATA
from tests.parity.digests import assert_close, digest

pytest.importorskip("torch")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("memory")]

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


def load(published) -> Upsampler:
    network = Upsampler().set_train(False)
    load_network(published / "upsampler.ckpt", network, get_model("upsampler").info("upsampler"))
    return network


@pytest.fixture(scope="module")
def upsampler(published) -> Upsampler:
    return load(published)


def test_output_and_every_activation_are_the_published_ones(upsampler):
    expected, seen, hooks = np.load(DATA / "upsampler.npz"), {}, []
    cells = dict(upsampler.cells_and_names())
    for name, ours in CELLS.items():
        keep = lambda cell, inputs, result, name=name: seen.update({name: result})  # noqa: E731
        hooks.append(cells[ours].register_forward_hook(keep))
    output = upsampler(Tensor(expected["masked"]), Tensor(expected["low"])).asnumpy()
    for hook in hooks:
        hook.remove()
    np.testing.assert_allclose(output, expected["output"], rtol=0, atol=1e-4)
    assert {f"act.{name}" for name in seen} == {name for name in expected if name.startswith("act.")}
    for name, result in seen.items():
        channels, size = result.shape[1:3]
        found = result.asnumpy()[:, :: channels // 16, :: size // 16, :: size // 16]
        np.testing.assert_allclose(found, expected[f"act.{name}"], rtol=0, atol=1e-4, err_msg=name)


def test_graph_mode_gives_the_same_output(upsampler):
    assert_graph_gives_the_published_output(upsampler)


def test_fused_for_inference_it_gives_the_same_output(published):
    assert_graph_gives_the_published_output(fuse(load(published)))


def assert_graph_gives_the_published_output(upsampler) -> None:
    ms.set_context(mode=ms.GRAPH_MODE)
    expected = np.load(DATA / "upsampler.npz")
    output = upsampler(Tensor(expected["masked"]), Tensor(expected["low"])).asnumpy()
    ms.set_context(mode=ms.PYNATIVE_MODE)
    np.testing.assert_allclose(output, expected["output"], rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def training() -> dict[str, np.ndarray]:
    return dict(np.load(DATA / "upsampler_training.npz"))


@pytest.fixture(scope="module")
def run(published, tmp_path_factory) -> dict[str, np.ndarray]:
    """Losses of two iterations, gradients of the first, weights after the second: see two_iterations.py."""
    output = tmp_path_factory.mktemp("run") / "found.npz"
    words = [str(path) for path in (published, published / "vgg19_caffe.ckpt", output)]
    subprocess.run([sys.executable, "-m", "tests.dgts.two_iterations", *words], cwd=ROOT, check=True)
    return dict(np.load(output))


def recorded(training: dict, prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in training.items() if name.startswith(prefix)}


@pytest.mark.parametrize(("iteration", "tolerance"), [(1, 1e-3), (2, 1e-2)])
def test_every_loss_is_the_published_one(run, iteration, tolerance):
    expected = json.loads((DATA / "upsampler_training_losses.json").read_text())[iteration - 1]
    names = (*UPSAMPLER_TERMS, "generator_loss", "discriminator_loss")
    assert dict(zip(names, run[f"losses{iteration}"], strict=True)) == pytest.approx(expected, rel=tolerance)


def test_first_gradients_are_the_published_ones(run, training):
    found = {}
    for ours, theirs in convert.layout("upsampler", 1.0)[1]:
        if f"gradients/{ours}" in run:
            found[f"upsampler/{theirs}"] = digest(run[f"gradients/{ours}"])
    expected = recorded(training, "grad1.")
    assert set(found) == set(expected)
    assert_close(found, expected, norm=1e-2, entry=0.1)


def test_weights_after_two_iterations_are_the_published_ones(run, training):
    """Spectral vectors and running statistics with them. The published batch norms count no batches."""
    found = {}
    for name in ("upsampler", "discriminator"):
        for ours, theirs in convert.layout(name, 1.0)[1]:
            found[f"{name}/{theirs}"] = digest(run[f"{name}/{ours}"] if ours else np.zeros(()))
    expected = recorded(training, "after2.")
    assert set(found) == set(expected)
    # Adam without momentum moves an entry a whole step even where its gradient is rounding noise.
    assert_close(found, expected, norm=2e-3, entry=5e-2)
