"""benchmarks/published_training.py trains as train.py does: equal losses, step by step, and weights that come back."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

from convert import main as convert_main
from model_utils.config import load_config
from model_utils.entry import run
from src.checkpoint import save_network
from src.ctsdg.convert import to_official
from src.ctsdg.training import CTSDGTraining
from src.data.samples import training_samples
from src.inference.inpainter import Inpainter
from src.models import get_model
from tests.command_line import words
from tests.conftest import ROOT
from tests.training.conftest import write_images

torch = pytest.importorskip("torch")
from benchmarks import published_training  # noqa: E402

OPTIONS = {
    "image_size": 128,
    "width": 0.05,
    "edge_mode": "clean",
    "seamless": "true",
    "drawn_holes": "scales",
    "batch_size": 2,
    "perceptual_loss_w": 0,
    "style_loss_w": 0,
    "log_frequency_step": 1,
}


def train_in_pytorch(run_folder: Path, images: Path, iterations: int, *more: object) -> list[dict[str, str]]:
    """-> the rows of log.csv, without seconds"""
    options = OPTIONS | {"data_root": images, "save_path": run_folder, "train_iter": iterations, "ema_decay": 0.9}
    program = ROOT / "benchmarks" / "published_training.py"
    command = [sys.executable, program, *words(options), "--threads", "1", *map(str, more)]
    subprocess.run(command, check=True, capture_output=True)
    with open(run_folder / "log.csv", newline="", encoding="utf-8") as file:
        return [{k: v for k, v in row.items() if k != "seconds_per_iteration"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("pictures"), 3)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory, images):
    folder = tmp_path_factory.mktemp("whole")
    return folder, train_in_pytorch(folder, images, 4)


def test_a_resumed_run_ends_as_an_unbroken_one(tmp_path, images, whole_run):
    folder, rows = whole_run
    train_in_pytorch(tmp_path, images, 2)
    assert train_in_pytorch(tmp_path, images, 4, "--resume", "true") == rows
    states = [torch.load(path / "last.pth", weights_only=True)["average"] for path in (folder, tmp_path)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_its_weights_come_back_and_fill_the_same(tmp_path, whole_run):
    folder, _ = whole_run
    convert = {"source": "official", "model": "ctsdg", "input": folder / "official.pth", "output": tmp_path / "ours"}
    run(convert_main, words(convert | {"seamless": "true", "edge_mode": "clean", "image_size": 128}))
    generator = published_training.TrainedGenerator(OPTIONS["width"], seamless=True)
    generator.load_state_dict(torch.load(folder / "official.pth", weights_only=True)["generator"])
    image, mask, edge, gray = arrays = example()
    with torch.no_grad():
        output = generator.eval()(*map(torch.from_numpy, arrays))[0].numpy()
    found = Inpainter(tmp_path / "ours").complete(image=image, mask=mask, edge=edge, gray=gray)
    np.testing.assert_allclose(found, image * mask + output * (1 - mask), rtol=0, atol=1e-4)


def example() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    image, edge, gray = (rng.random((1, channels, 128, 128), dtype=np.float32) for channels in (3, 1, 1))
    mask = np.ones((1, 1, 128, 128), np.float32)
    mask[:, :, 30:90, 40:70] = 0
    return [2 * image - 1, mask, np.float32(edge > 0.9), gray]


@pytest.mark.parametrize("hole_loss", ["l1", "psnr"])
def test_losses_go_down_as_ours_do(tmp_path, images, hole_loss):
    """From equal weights, on equal samples, over three steps of both networks' optimizers."""
    options = OPTIONS | {"data_root": images, "save_path": tmp_path, "hole_loss": hole_loss, "hole_loss_w": 1}
    config = load_config([*words(options), "--mode", "pynative"])
    ours = CTSDGTraining(config)
    ours.start_stage(1)
    for name, network in ours.networks.items():
        info = get_model("ctsdg").info(name, width=config.width, seamless=True)
        save_network(tmp_path / f"{name}.ckpt", network, info)
    to_official(tmp_path, tmp_path / "ours.pth", seamless=True)
    args, _ = published_training.parse(["--warm_up", "1", "--start", str(tmp_path / "ours.pth")])
    theirs = published_training.Training(args, config)
    samples, found, expected = training_samples(config, with_structure=True), [], []
    for iteration in range(3):
        columns = [np.stack(column) for column in zip(*(samples[2 * iteration + i] for i in range(2)), strict=True)]
        losses = dict(zip(ours.LOSSES, map(float, ours.step(tuple(map(Tensor, columns)), iteration)), strict=True))
        batch = dict(zip(samples.columns, map(torch.from_numpy, columns), strict=True))
        terms = theirs.step(batch)
        names = ("hole", "valid", "adversarial", "intermediate")
        found.append([losses[f"loss_{name}"] for name in names] + [losses["discriminator_loss"]])
        expected.append([terms[name] for name in (*names, "discriminator")])
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4)
    np.testing.assert_allclose(found, expected, rtol=1e-2)  # Adam's first steps have the sign of tiny gradients alone
    assert np.abs(found[0] / np.array(found[2]) - 1).max() > 0.1  # they moved
