"""Two ranks under msrun are one process with the joint batch."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.conftest import words

ROOT = Path(__file__).parents[2]
MSRUN = ("--worker_num=2", "--local_worker_num=2", "--join=True", "--tail_worker_log=2")
NUM_INPUTS = 4  # of a batch: image, mask, edge, gray

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of five pictures."""
    folder = tmp_path_factory.mktemp("five")
    rng = np.random.default_rng(0)
    for i in range(5):
        picture = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        picture.resize((128, 128), Image.Resampling.BILINEAR).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module", params=["pynative", "graph"])
def step(request, pictures, tmp_path_factory) -> Callable[[bool, int], list[dict[str, np.ndarray]]]:
    """step(distributed, batch_size): what one_step.py wrote, by rank."""
    options = {
        "device_target": "CPU",
        "mode": request.param,
        "data_root": pictures,
        "image_size": 128,
        "width": 0.02,
        "edge_mode": "clean",
        "perceptual_loss_w": 0,
        "style_loss_w": 0,
    }

    def step(distributed: bool, batch_size: int) -> list[dict[str, np.ndarray]]:
        folder = tmp_path_factory.mktemp("step")
        msrun = [ROOT / "scripts" / "msrun.py", f"--log_dir={folder}/logs", *MSRUN] if distributed else []
        script = [ROOT / "tests" / "training" / "one_step.py", folder]
        subprocess.run(
            [sys.executable, *msrun, *script, *words(options | {"batch_size": batch_size})], check=True, timeout=600
        )
        return [dict(np.load(folder / f"{rank}.npz")) for rank in range(1 + distributed)]

    return step


@pytest.fixture(scope="module")
def alone_and_together(step) -> tuple[dict, list[dict]]:
    (alone,) = step(False, 4)
    return alone, step(True, 2)


def test_the_shards_of_two_ranks_are_the_joint_batch(alone_and_together):
    alone, ranks = alone_and_together
    for i in range(NUM_INPUTS):
        joint = np.concatenate([rank[f"batch.{i}"] for rank in ranks])
        np.testing.assert_array_equal(joint, alone[f"batch.{i}"])


def test_all_ranks_start_from_the_same_weights(alone_and_together):
    alone, ranks = alone_and_together
    names = [name for name in alone if name.startswith("before.")]
    assert len(names) > 100
    for name in names:
        for rank in ranks:
            np.testing.assert_array_equal(rank[name], alone[name], err_msg=name)


def test_gradients_are_those_of_the_joint_batch(alone_and_together):
    """Adam's first moment after one step is a tenth of the gradient."""
    alone, ranks = alone_and_together
    largest_of = {name: np.abs(array).max() for name, array in alone.items() if ".moment1." in name}
    assert sum(largest > 0 for largest in largest_of.values()) > 100  # all but Bi-GFF's gates, whose scales are 0 yet
    for name, largest in largest_of.items():
        for rank in ranks:
            np.testing.assert_allclose(rank[name], alone[name], rtol=0, atol=1e-5 * largest, err_msg=name)


def test_ranks_stay_the_same_bit_by_bit(alone_and_together):
    """Weights, moments and the vectors of the spectral norms, so that it does not matter whose are saved."""
    _, (first, second) = alone_and_together
    names = [name for name in first if not name.startswith("batch.")]
    assert any(name.startswith("after.") and name.endswith(".u") for name in names)
    for name in names:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
