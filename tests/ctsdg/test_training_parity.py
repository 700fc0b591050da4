"""Three iterations of train.py at full width, from the same weights, go as the published ones."""

import csv
import json

import numpy as np
import pytest

from src.checkpoint import read_network
from src.convert.names import PYTORCH
from src.ctsdg.convert import layout
from tests.command_line import call
from tests.parity.digests import assert_close, digest
from tests.parity.official import DATA, NETWORKS, run_convert

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("memory")]

# In front of a batch norm a bias has no effect: its true gradient is zero, and what is recorded is noise.
NOISE = tuple(f"discriminator/edge_detector.{name}.bias" for name in ("projection.0", "res_layer.0", "res_layer.3"))


@pytest.fixture(scope="module")
def run(published, vgg16, tmp_path_factory):
    """The folder that train.py wrote. Needs 10 GB of memory."""
    options = {
        "data_root": DATA / "images",
        "train_masks_root": DATA / "masks",
        "mask_pairing": "index",
        "batch_size": 2,
        "train_iter": 3,
        "finetune_iter": 0,
        "init_checkpoint": published,
        "pretrained_vgg": vgg16,
        "save_path": tmp_path_factory.mktemp("run"),
        "log_frequency_step": 1,
        "save_checkpoint_steps": 1,
    }
    call("train.py", **options)
    return options["save_path"]


@pytest.fixture(scope="module")
def expected():
    digests = dict(np.load(DATA / "training.npz"))
    return {name: value for name, value in digests.items() if name.split(".", 1)[1] not in NOISE}


@pytest.mark.parametrize(("iteration", "tolerance"), [(1, 1e-3), (2, 1e-3), (3, 5e-3)])
def test_every_loss_is_the_published_one(run, iteration, tolerance):
    published = json.loads((DATA / "training_losses.json").read_text())[iteration - 1]
    with open(run / "metrics.csv", newline="") as file:
        row = list(csv.DictReader(file))[iteration - 1]
    assert {name: float(row[name]) for name in published} == pytest.approx(published, rel=tolerance)


def test_first_gradients_are_the_published_ones(run, expected):
    """After one step Adam's first moment is a tenth of the gradient."""
    state, _, _ = read_network(run / "checkpoints" / "0000001" / "trainer.ckpt")
    found = {}
    for network in NETWORKS:
        names = {ours: theirs for ours, theirs in reversed(layout(network, 1.0, PYTORCH)[1])}  # of two names the first
        for ours, theirs in names.items():
            moment = state.get(f"{network}.moment1.{network}.{ours}")
            if moment is not None:
                found[f"{network}/{theirs}"] = digest(10 * moment)
    gradients = {name.removeprefix("grad1."): value for name, value in expected.items() if name.startswith("grad1.")}
    assert set(found) == set(gradients) | set(NOISE)
    assert_close(found, gradients, norm=1e-2, entry=2e-2)


def test_weights_after_three_iterations_are_the_published_ones(run, expected, tmp_path):
    """Written back to the official layout, with spectral vectors, running statistics and counters of batches."""
    file = run_convert("ours", "ctsdg", run / "checkpoints" / "0000003", tmp_path / "trained.pth")
    content = torch.load(file, weights_only=True)
    found = {f"{network}/{name}": digest(a.numpy()) for network in NETWORKS for name, a in content[network].items()}
    weights = {name.removeprefix("after3."): value for name, value in expected.items() if name.startswith("after3.")}
    assert [name for name in found if name not in NOISE] == list(weights)
    assert_close(found, weights, norm=2e-3, entry=5e-3)
