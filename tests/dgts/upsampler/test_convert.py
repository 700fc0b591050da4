"""The upsampler and its discriminator from the official files and back."""

import json
from pathlib import Path

import numpy as np
import pytest

from src.checkpoint import load_network, read_network, save_network
from src.dgts.upsampler import convert
from src.dgts.upsampler.discriminator import Discriminator
from src.dgts.upsampler.network import Upsampler
from src.errors import InputError
from src.models import get_model
from tests.parity.official import assert_file_holds, write_state
from tests.parity.rule_weights import rule_state

torch = pytest.importorskip("torch")
SHAPES = json.loads((Path(__file__).parents[2] / "fixtures" / "dgts" / "official_shapes.json").read_text())
NETWORKS = ("upsampler", "discriminator")


def rule_states(name: str, width: float) -> dict[str, np.ndarray]:
    shapes, pairs = convert.layout(name, width)
    return rule_state({theirs: shapes[ours] if ours else () for ours, theirs in pairs}, salt=7)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_table_gives_every_official_array_in_order(name):
    shapes, pairs = convert.layout(name, 1.0)
    assert {ours for ours, _ in pairs if ours} == set(shapes)
    theirs = {theirs: list(shapes[ours]) if ours else [] for ours, theirs in pairs}
    assert list(theirs.items()) == list(SHAPES[name].items())


@pytest.mark.parametrize("width", [0.1, 0.5, pytest.param(1.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NETWORKS)
def test_official_to_ours_and_back_is_exact(name, width, tmp_path):
    state = rule_states(name, width)
    for key in state:
        if key.endswith("num_batches_tracked"):
            state[key] = np.array(5, np.int64)
    ours, back = tmp_path / f"{name}.ckpt", tmp_path / "back.pth"
    convert.from_official(write_state(tmp_path / "official.pth", state), ours)
    tracked = 5 if name == "upsampler" else 0
    assert read_network(ours)[1] == get_model("upsampler").info(name, width=width, batches_tracked=tracked)

    convert.to_official(ours, back)
    assert_file_holds(back, state)


def test_a_converted_file_fills_the_network(tmp_path):
    state = rule_states("upsampler", 0.1)
    convert.from_official(write_state(tmp_path / "official.pth", state), tmp_path / "upsampler.ckpt")
    network = Upsampler(0.1)
    load_network(tmp_path / "upsampler.ckpt", network, get_model("upsampler").info("upsampler", width=0.1))
    gate = network.residual[5].second.gate[0]
    np.testing.assert_array_equal(gate.weight.asnumpy(), state["res_blocks.5.conv_block.3.mask_conv2d.0.weight_orig"])
    np.testing.assert_array_equal(network.attention.gamma.asnumpy(), state["attn.gamma"])


def test_a_folder_stands_for_its_upsampler(tmp_path):
    save_network(tmp_path / "upsampler.ckpt", Upsampler(0.1), get_model("upsampler").info("upsampler", width=0.1))
    convert.to_official(tmp_path, tmp_path / "out.pth")
    assert list(torch.load(tmp_path / "out.pth", weights_only=True)) == list(SHAPES["upsampler"])


def test_another_network_is_refused(tmp_path):
    save_network(
        tmp_path / "discriminator.ckpt", Discriminator(0.1), get_model("ctsdg").info("discriminator", width=0.1)
    )
    with pytest.raises(
        InputError, match="holds ctsdg discriminator, not upsampler upsampler or upsampler discriminator"
    ):
        convert.to_official(tmp_path / "discriminator.ckpt", tmp_path / "out.pth")
    other = write_state(tmp_path / "b.pth", {"fc.weight": np.zeros((1000, 2048), np.float32)})
    with pytest.raises(InputError, match="does not fit: missing"):
        convert.from_official(other, tmp_path / "b.ckpt")
