"""Runs of train.py on two tiny networks in the place of CTSDG's, so that an iteration takes half a second.

Data, losses, optimizers, loop and files are the real ones. What CTSDG's own networks do is in test_ctsdg.py.
"""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mindspore import nn, ops
from PIL import Image

import train as train_py
from model_utils.entry import run
from src.checkpoint import read_network
from src.ctsdg.model import CTSDG
from src.ctsdg.training import CTSDGTraining
from src.layers.spectral_norm import SpectralNormConv2d
from src.models import REGISTRY
from tests.command_line import words

SMALL = {
    "image_size": 128,
    "width": 0.1,
    "edge_mode": "clean",
    "batch_size": 2,
    "train_iter": 2,
    "finetune_iter": 0,
    "perceptual_loss_w": 0,
    "style_loss_w": 0,
    "log_frequency_step": 1,
    "mode": "pynative",
}


class TinyGenerator(nn.Cell):
    """A generator of one convolution and one batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 7, 3, weight_init="he_uniform")
        self.norm = nn.BatchNorm2d(7)

    def construct(self, image, mask, edge, gray):
        x = self.norm(self.conv(ops.cat((image * mask, edge * mask, gray * mask, mask), axis=1)))
        return ops.tanh(x[:, :3]), x[:, 3:6], ops.sigmoid(x[:, 6:])


class TinyDiscriminator(nn.Cell):
    """A discriminator of one spectral-norm convolution and one batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = SpectralNormConv2d(4, 2, 3, padding=1)
        self.norm = nn.BatchNorm2d(2)

    def construct(self, image, edge, gray):
        x = ops.sigmoid(self.norm(self.conv(ops.cat((image, gray), axis=1))))
        return x[:, :1], x[:, 1:]


class TinyTraining(CTSDGTraining):
    def make_networks(self) -> dict[str, nn.Cell]:
        return {"generator": TinyGenerator(), "discriminator": TinyDiscriminator()}


TINY = replace(CTSDG, training="tests.training.conftest:TinyTraining")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY, "ctsdg", "tests.training.conftest:TINY")


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three images."""
    return write_images(tmp_path_factory.mktemp("pictures"), 3)


def write_images(folder: Path, count: int) -> Path:
    """Smooth ones of random colours, 128x128."""
    rng = np.random.default_rng(0)
    for i in range(count):
        image = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        image.resize((128, 128), Image.Resampling.BILINEAR).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def train(tmp_path: Path, images: Path, tiny: None) -> Callable[..., Path]:
    """train("name", option=value, …): the folder that train.py wrote."""

    def train(name: str = "run", **options: object) -> Path:
        run(train_py.main, words(SMALL | {"data_root": images, "save_path": tmp_path / name} | options))
        return tmp_path / name

    return train


def rows(folder: Path) -> list[dict[str, str]]:
    """metrics.csv without what the clock says."""
    with open(folder / "metrics.csv", newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    for row in found:
        assert float(row.pop("seconds_per_iteration")) >= 0
    return found


def weights(folder: Path, iteration: int, network: str = "generator") -> dict[str, np.ndarray]:
    return read_network(folder / "checkpoints" / f"{iteration:07d}" / f"{network}.ckpt")[0]


def assert_same(first: Path, second: Path, iteration: int) -> None:
    """Weights, optimizers and what the files say, bit by bit, and every row of metrics.csv."""
    for network in ("generator", "discriminator", "trainer"):
        (a, info_a, _), (b, info_b, _) = (
            read_network(path / "checkpoints" / f"{iteration:07d}" / f"{network}.ckpt") for path in (first, second)
        )
        assert info_a == info_b
        assert list(a) == list(b)
        for name, array in a.items():
            np.testing.assert_array_equal(array, b[name], err_msg=f"{network} {name}")
    assert rows(first) == rows(second)
