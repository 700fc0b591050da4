"""The published networks at full width, through the converter."""

import json
from pathlib import Path

import pytest

from tests.parity.official import run_convert, write_state
from tests.parity.rule_weights import rule_state

DATA = Path(__file__).parents[1] / "fixtures" / "dgts"


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> Path:
    """generator, upsampler, discriminator, vgg19 and vgg19_caffe (.ckpt), of files in the official codes' layouts."""
    pytest.importorskip("torch")
    shapes = json.loads((DATA / "official_shapes.json").read_text())
    folder = tmp_path_factory.mktemp("published")

    def write(name: str, prefix: str = "") -> Path:
        state = {prefix + key: array for key, array in rule_state(shapes[name]).items()}
        return write_state(folder / f"{name}.pth", state)

    run_convert("official", "dgts", write("generator", "module."), folder / "generator.ckpt")
    run_convert("official", "upsampler", write("upsampler"), folder / "upsampler.ckpt")
    run_convert("official", "upsampler", write("discriminator"), folder / "discriminator.ckpt")
    run_convert("torchvision", "vgg19", write("vgg19_features"), folder / "vgg19.ckpt")
    run_convert("official", "vgg19", write("upsampler_vgg19"), folder / "vgg19_caffe.ckpt")
    return folder
