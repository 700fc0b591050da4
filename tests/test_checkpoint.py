"""Network files: whole or refused, in one line and nothing else on the screen."""

import json

import numpy as np
import pytest

from src.checkpoint import INFO, parse_info, read_network, save_network
from src.errors import InputError
from src.models import get_model

GENERATOR = get_model("ctsdg").info(
    "generator",
    width=0.25,
    image_size=128,
    align_corners=True,
    edge_mode="clean",
    sigma=1.5,
    iteration=7,
    batches_tracked=8,
)


def test_a_network_comes_back_as_it_was_written(tmp_path):
    arrays = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.float32([0.1])}
    save_network(tmp_path / "x.ckpt", arrays, GENERATOR)
    found, info, _ = read_network(tmp_path / "x.ckpt")
    assert info == GENERATOR
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_damaged_file_is_one_line_wherever_the_damage_is(tmp_path, capfd):
    path, damaged = tmp_path / "x.ckpt", tmp_path / "damaged.ckpt"
    save_network(path, {"a": np.zeros(100, np.float32)}, GENERATOR)
    content = path.read_bytes()
    cut = [content[:length] for length in (1, 10, len(content) // 2, len(content) - 1)]
    flipped = [content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :] for at in range(0, len(content), 37)]
    for wrong in [*cut, *flipped, b"text", bytes(1000)]:
        damaged.write_bytes(wrong)
        with pytest.raises(InputError) as error:
            read_network(damaged)
        assert str(error.value) == f"{damaged} is damaged or no MindSpore checkpoint; use another one"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(number, tmp_path):
    save_network(tmp_path / "x.ckpt", {"a": np.zeros(3, np.float32), "b": np.float32([1, number])}, GENERATOR)
    with pytest.raises(InputError, match=r"x\.ckpt holds numbers that are not finite, the first in b; use another"):
        read_network(tmp_path / "x.ckpt")


def test_a_checkpoint_of_other_code_is_told_from_ours(tmp_path):
    import mindspore as ms

    ms.save_checkpoint([{"name": "a", "data": ms.Tensor([1.0])}], str(tmp_path / "x.ckpt"))
    with pytest.raises(InputError, match=r"was not written by this project; convert.py"):
        read_network(tmp_path / "x.ckpt")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is not readable"),
        ("[]", "is not readable"),
        ("3", "is not readable"),
        ('{"network": "generator"}', "is not readable"),
        ('{"model": "ctsdg", "network": "generator", "width": "wide"}', "its network's width is 'wide'"),
        ('{"model": "ctsdg", "network": "generator", "image_size": 128.5}', "its network's image_size is 128.5"),
        ('{"model": "ctsdg", "network": "generator", "align_corners": 1}', "its network's align_corners is 1"),
        ('{"model": null, "network": "generator"}', "its network's model is None"),
    ],
)
def test_facts_that_cannot_be_are_refused(text, expected, tmp_path):
    with pytest.raises(InputError) as error:
        parse_info(text, tmp_path / "x.json")
    assert str(error.value).startswith(f"{tmp_path}/x.json: ")
    assert expected in str(error.value)


def test_unknown_facts_are_left_and_missing_ones_have_defaults(tmp_path):
    text = json.dumps({"model": "ctsdg", "network": "generator", "width": 1, "colour": "blue", INFO: 3})
    assert parse_info(text, tmp_path) == get_model("ctsdg").info("generator")
