"""VGG16 and VGG19 from the files of those who published them, and back."""

import json
from pathlib import Path

import numpy as np
import pytest

from src.checkpoint import load_network, read_network
from src.convert import vgg
from src.errors import InputError
from src.losses.perceptual import VGG19Features
from tests.parity.official import assert_file_holds, write_state
from tests.parity.rule_weights import rule_state

pytest.importorskip("torch")
DATA = Path(__file__).parents[1] / "fixtures"
SHAPES = json.loads((DATA / "dgts" / "official_shapes.json").read_text())
VGG16_SHAPES = json.loads((DATA / "ctsdg" / "official_shapes.json").read_text())["vgg16_features"]


@pytest.mark.parametrize(
    ("shapes", "convert", "info"),
    [
        ("vgg19_features", vgg.vgg19_from_torchvision, vgg.VGG19_INFO),
        ("upsampler_vgg19", vgg.vgg19_from_official, vgg.VGG19_CAFFE_INFO),
    ],
)
def test_vgg19_comes_back_as_it_was(shapes, convert, info, tmp_path):
    state = rule_state(SHAPES[shapes])
    ours, back = tmp_path / "vgg19.ckpt", tmp_path / "back.pth"
    convert(write_state(tmp_path / "published.pth", state), ours)
    assert read_network(ours)[1] == info
    vgg.vgg19_to_published(ours, back)
    assert_file_holds(back, state)

    network = VGG19Features(("relu1_1",))
    load_network(ours, network, info)
    for name, array in zip(network.parameters_dict(), state.values(), strict=True):
        np.testing.assert_array_equal(network.parameters_dict()[name].asnumpy(), array, err_msg=name)


def test_a_whole_vgg19_of_torchvision(tmp_path):
    state = rule_state(SHAPES["vgg19_features"])
    classifier = {f"classifier.{i}.{leaf}": np.zeros(2, np.float32) for i in (0, 3, 6) for leaf in ("weight", "bias")}
    vgg.vgg19_from_torchvision(write_state(tmp_path / "whole.pth", state | classifier), tmp_path / "vgg19.ckpt")
    vgg.vgg19_to_published(tmp_path / "vgg19.ckpt", tmp_path / "back.pth")
    assert_file_holds(tmp_path / "back.pth", state)


def test_one_vgg19_does_not_pass_for_the_other(tmp_path):
    state = rule_state(SHAPES["upsampler_vgg19"])
    with pytest.raises(InputError, match=r"missing: features\.0\.weight"):
        vgg.vgg19_from_torchvision(write_state(tmp_path / "caffe.pth", state), tmp_path / "vgg19.ckpt")
    vgg.vgg19_from_official(tmp_path / "caffe.pth", tmp_path / "vgg19.ckpt")
    with pytest.raises(InputError, match="holds network vgg19_caffe, not vgg19"):
        load_network(tmp_path / "vgg19.ckpt", VGG19Features(("relu1_1",)), vgg.VGG19_INFO)
    with pytest.raises(InputError, match="holds vgg19 vgg19_caffe, not vgg16"):
        vgg.vgg16_to_torchvision(tmp_path / "vgg19.ckpt", tmp_path / "back.pth")


def test_vgg16_comes_back_up_to_its_third_pool(tmp_path):
    state = rule_state(VGG16_SHAPES)
    vgg.vgg16_from_torchvision(write_state(tmp_path / "vgg16.pth", state), tmp_path / "vgg16.ckpt")
    vgg.vgg16_to_torchvision(tmp_path / "vgg16.ckpt", tmp_path / "back.pth")
    used = {name: array for name, array in state.items() if name.rsplit(".", 1)[0] not in vgg.TORCHVISION_UNUSED}
    assert_file_holds(tmp_path / "back.pth", used)
