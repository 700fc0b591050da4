"""benchmarks/ablation.py: CTSDG without a part, trained and scored by the entry points themselves."""

import json
import subprocess
import sys

import mindspore as ms
import numpy as np
import pytest
from PIL import Image

from benchmarks.ablation import PARTS
from src.checkpoint import read_network
from tests.command_line import ROOT, words

# Beginnings of parameters' names that are there with all parts, and gone without one.
GONE = {"none": (), "bigff": ("bigff.",), "cfa": ("cfa.",), "stream": ("bigff.", "structure_encoder.", "structure_dec")}


def ablation(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "benchmarks" / "ablation.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Two images, and a mask."""
    folder = tmp_path_factory.mktemp("ablation")
    (folder / "pictures").mkdir()
    (folder / "masks").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 256, (128, 128, 3), np.uint8)).save(folder / "pictures" / name)
    mask = np.zeros((128, 128), np.uint8)
    mask[40:90, 30:70] = 255
    Image.fromarray(mask).save(folder / "masks" / "mask.png")
    return folder


@pytest.mark.parametrize(
    "part", ["none", *(pytest.param(part, marks=pytest.mark.slow) for part in PARTS if part != "none")]
)
def test_a_network_without_a_part_is_trained_and_scored(part, images, tmp_path):
    run, scores = tmp_path / "run", tmp_path / "scores"
    options = {"data_root": images / "pictures", "save_path": run, "image_size": 128, "width": 0.05, "batch_size": 2}
    options |= {"perceptual_loss_w": 0, "style_loss_w": 0, "train_iter": 1, "finetune_iter": 0, "mode": "pynative"}
    done = ablation(part, "train.py", *words(options))
    assert done.returncode == 0, done.stderr
    arrays, _, _ = read_network(run / "checkpoints" / "0000001" / "generator.ckpt")
    for prefix in (
        "bigff.",
        "cfa.",
        "structure_encoder.",
        "structure_dec",
        "texture_encoder.",
        "structure_projection.",
    ):
        assert any(name.startswith(prefix) for name in arrays) == (prefix not in GONE[part]), prefix

    options = {"data_root": images / "pictures", "eval_masks_root": images / "masks", "mode": "pynative"}
    options |= {"checkpoint_path": run / "checkpoints" / "last", "output_path": scores}
    done = ablation(part, "eval.py", *words(options))
    assert done.returncode == 0, done.stderr
    assert json.loads((scores / "metrics.json").read_text())["overall"]["count"] == 2

    other = ablation("cfa" if part == "none" else "none", "eval.py", *words(options), "--overwrite")
    assert other.returncode == 2
    assert "parameter" in other.stderr
    assert "Traceback" not in other.stderr


@pytest.mark.parametrize("part", PARTS)
def test_it_fills_whole_and_does_not_see_the_hole(part, rand):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    generator = PARTS[part](0.05).set_train(False)
    image, edge, gray = rand(1, 3, 128, 128), rand(1, 1, 128, 128), rand(1, 1, 128, 128)
    mask = np.ones((1, 1, 128, 128), np.float32)
    mask[..., 30:90, 40:80] = 0
    mask = ms.Tensor(mask)
    found = [tensor.asnumpy() for tensor in generator(image, mask, edge, gray)]
    assert [array.shape[1] for array in found] == [3, 3, 1]
    other = generator(image + (1 - mask), mask, edge + (1 - mask), gray + (1 - mask))
    for a, b in zip(found, other, strict=True):
        np.testing.assert_array_equal(a, b.asnumpy())


def test_mistakes_are_told_in_a_line():
    for arguments, message in ((["all", "train.py"], "bigff"), (["cfa"], "eval.py"), (["cfa", "infer.py"], "eval.py")):
        done = ablation(*arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert "Guo et al." in ablation("--help").stdout
