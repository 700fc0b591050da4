"""Two ranks under msrun are one process with the joint batch."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.command_line import ROOT, words
from tests.training.conftest import SMALL, assert_same, rows, write_images

MSRUN = ("--worker_num=2", "--local_worker_num=2", "--join=True", "--tail_worker_log=2")
NUM_INPUTS = 4  # of a batch: image, mask, edge, gray

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of five images."""
    return write_images(tmp_path_factory.mktemp("five"), 5)


@pytest.fixture(scope="module", params=["pynative", "graph"])
def step(request, images, tmp_path_factory) -> Callable[[bool, int], list[dict[str, np.ndarray]]]:
    """step(distributed, batch_size): what one_step.py wrote, by rank."""
    options = {
        "device_target": "CPU",
        "mode": request.param,
        "data_root": images,
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
    names = [name for name in first if not name.startswith(("batch.", "disagreement"))]
    assert any(name.startswith("after.") and name.endswith(".u") for name in names)
    for name in names:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_all_take_the_values_of_rank_0(alone_and_together):
    _, ranks = alone_and_together
    names = [name for name in ranks[0] if name.startswith("taken.")]
    assert any(name.endswith(".moving_mean") for name in names)
    for name in names:
        for rank in ranks:
            np.testing.assert_array_equal(rank[name], ranks[0][name.replace("taken.", "after.", 1)], err_msg=name)


def test_ranks_refuse_to_go_on_from_different_iterations(alone_and_together):
    _, ranks = alone_and_together
    for number, rank in enumerate(ranks):
        assert str(rank["disagreement"]).startswith(f"ranks go on from iterations [0, 1], this one from {number}; ")


@pytest.fixture
def start(tmp_path, images) -> Callable[..., subprocess.Popen]:
    """start("name", option=value, …): a run of two ranks, started by the script that users call."""

    def start(name: str, *flags: str, **options: object) -> subprocess.Popen:
        small = SMALL | {"save_path": tmp_path / name, "data_root": images, "width": 0.02}
        small |= {"train_iter": 4, "finetune_iter": 2, "save_checkpoint_steps": 2}
        script = ROOT / "scripts" / "run_distribute_train_cpu.sh"
        return subprocess.Popen(
            ["bash", script, "2", *words(small | options), *flags],
            env={**os.environ, "PYTHON": sys.executable},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def ranks_of(folder: Path) -> list[psutil.Process]:
    found = [process for process in psutil.process_iter(["cmdline"]) if str(folder) in (process.info["cmdline"] or [])]
    return [process for process in found if process.environ().get("MS_ROLE") == "MS_WORKER"]


def test_a_dead_rank_ends_the_job_and_the_run_resumes(start, tmp_path):
    straight = start("straight")
    output, errors = straight.communicate(timeout=600)
    assert straight.returncode == 0, output + errors
    assert "iterations 1 to 6, batch 1 of every 2" in output
    (other,) = (tmp_path / "straight" / "logs").glob("*/worker_1.log")
    assert "iterations 1 to 6, batch 2 of every 2" in other.read_text()
    assert len(rows(tmp_path / "straight")) == 6

    killed, last = start("killed"), tmp_path / "killed" / "checkpoints" / "last"
    while not (last.is_file() and last.read_text()):
        assert killed.poll() is None
        time.sleep(0.1)
    (victim,) = (process for process in ranks_of(tmp_path / "killed") if process.environ()["MS_NODE_ID"] == "1")
    victim.send_signal(signal.SIGKILL)
    began = time.monotonic()
    _, errors = killed.communicate(timeout=60)
    assert time.monotonic() - began < 60
    assert killed.returncode == 128 + signal.SIGKILL
    assert "error: rank 1 was killed by SIGKILL, so the job was stopped; logs: " in errors
    assert ranks_of(tmp_path / "killed") == []

    resumed = start("killed", "--resume")
    output, errors = resumed.communicate(timeout=600)
    assert resumed.returncode == 0, output + errors
    assert_same(tmp_path / "straight", tmp_path / "killed", 6)


def test_a_signal_ends_all_ranks_after_the_same_iteration_with_a_checkpoint(start, tmp_path):
    job, run = start("stopped", train_iter=1000, save_checkpoint_steps=1000), tmp_path / "stopped"
    while not ((run / "metrics.csv").is_file() and (run / "metrics.csv").read_text().count("\n") > 1):
        assert job.poll() is None
        time.sleep(0.1)
    job.send_signal(signal.SIGTERM)
    output, errors = job.communicate(timeout=60)
    assert (job.returncode, errors) == (0, "")
    assert ranks_of(run) == []
    done = len(rows(run))
    assert f"Stopped after iteration {done} of 1002, checkpoint {run}/checkpoints/{done:07d}; --resume" in output
    assert (run / "checkpoints" / "last").read_text() == f"{done:07d}\n"


def test_an_image_that_rank_0_finds_broken_ends_all_ranks_with_one_line(start, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.png").write_text("no image")
    job = start("refused", data_root=folder)
    _, errors = job.communicate(timeout=60)
    line = f"error: 3 of 3 images cannot be used, remove or replace them: {folder}/0.png (not an image file), "
    assert (job.returncode, errors.count("\n")) == (2, 1)
    assert errors.startswith(line)
    logs = sorted((tmp_path / "refused" / "logs").glob("*/worker_*.log"))
    assert [log.read_text().count(line) for log in logs] == [1, 1]
