"""The published networks at full width, through the converter, and the batch they are compared on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from src.checkpoint import load_network, network_file, read_network
from src.data.edges import edge_and_gray
from src.data.images import load_image, normalise
from src.data.masks import read_mask, resize_mask
from tests.parity.official import (
    DATA,
    OFFICIAL_SHAPES,
    modelzoo_states,
    official_states,
    run_convert,
    write_modelzoo,
    write_official,
    write_state,
)
from tests.parity.rule_weights import rule_state


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> Path:
    """A checkpoint folder made of the official code's file."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("published")
    return run_convert("official", "ctsdg", write_official(folder / "official.pth", official_states()), folder / "ours")


@pytest.fixture(scope="session")
def modelzoo(tmp_path_factory) -> Path:
    """The same weights, from the model zoo's files."""
    folder = tmp_path_factory.mktemp("modelzoo")
    for name, state in modelzoo_states().items():
        write_modelzoo(folder / f"{name}_000100.ckpt", state)
    return run_convert("modelzoo", "ctsdg", folder, folder / "ours")


@pytest.fixture(scope="session")
def vgg16(tmp_path_factory) -> Path:
    """A checkpoint made of a file in torchvision's layout."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("vgg16")
    path = write_state(folder / "vgg16.pth", rule_state(OFFICIAL_SHAPES["vgg16_features"]))
    return run_convert("torchvision", "vgg16", path, folder / "vgg16.ckpt")


@pytest.fixture(scope="session")
def load() -> Callable:
    """load(folder, network): fill a generator or discriminator from its file in a checkpoint folder."""

    def load(folder, network):
        name = type(network).__name__.lower()
        file = network_file(folder, name)
        load_network(file, network, read_network(file)[1])
        return network

    return load


@pytest.fixture(scope="session")
def batch() -> dict:
    """Both images of the comparison: image, mask, edge, gray."""
    import mindspore as ms

    samples = []
    for name in ("00.png", "01.png"):
        image = load_image(DATA / "images" / name, 256)
        edge, gray = edge_and_gray(image, "published", 2.0)
        samples.append((normalise(image), resize_mask(read_mask(DATA / "masks" / name), 256), edge, gray))
    return {
        name: ms.Tensor(np.stack(arrays))
        for name, arrays in zip(("image", "mask", "edge", "gray"), zip(*samples, strict=True), strict=True)
    }
