"""The weights that ship with the project, on photos that they never saw: those that scikit-image carries."""

import re
import subprocess
import sys

import numpy as np
import pytest
import skimage.data
from PIL import Image

import infer as infer_py
from benchmarks.quality import score
from model_utils.config import load_config
from model_utils.device import prepare
from model_utils.entry import SHIPPED, run
from src.checkpoint import read_network
from src.data.masks import draw_strokes
from src.evaluation.baselines import inpaint_baseline
from src.inference.inpainter import Inpainter
from tests.command_line import words
from tests.conftest import ROOT
from tests.onnx_files import has_bfloat16, require_packages

SIDE = 256
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")


@pytest.fixture(scope="module")
def pairs():
    """Photos and holes of 14 to 44 pixels' width in them: uint8 (256, 256, 3), bool (256, 256)."""
    rng = np.random.default_rng(0)
    return [
        (getattr(skimage.data, name)()[:SIDE, 100 : 100 + SIDE], draw_strokes(rng, (SIDE, SIDE), 0.1, 0.2, (14, 44)))
        for name in PHOTOS
    ]


def test_they_fill_better_than_a_classical_method(pairs):
    """Telea's, in the mean over photos: inside the holes (PSNR) and over the image (SSIM)."""
    prepare(load_config(["--mode", "pynative"]))
    inpainter, scores = Inpainter(ROOT / SHIPPED), []
    for photo, hole in pairs:
        filled, telea = inpainter(photo, hole), inpaint_baseline("telea", photo, ~hole)
        np.testing.assert_array_equal(filled[~hole], photo[~hole])
        scores.append([score(result, photo, hole) for result in (filled, telea)])
    (ours, *_, our_ssim), (theirs, *_, their_ssim) = np.mean(scores, axis=0)
    assert ours > theirs, scores
    assert our_ssim > their_ssim, scores


def blob(height: int, width: int) -> np.ndarray:
    """Most of 60 % of the image, in one."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return (x / 0.9) ** 2 + (y / 0.85) ** 2 < 1


def scattered(height: int, width: int) -> np.ndarray:
    """Strokes of many widths, over half of the image, none of them at its border."""
    rng, hole = np.random.default_rng(0), np.zeros((height, width), bool)
    hole[20:-20, 20:-20] = draw_strokes(rng, (height - 40, width - 40), 0.5, 0.6, (4, height // 5))
    return hole


@pytest.mark.parametrize("draw", [blob, scattered])
@pytest.mark.parametrize("shape", [(210, 270), pytest.param((700, 900), marks=pytest.mark.slow)])
def test_they_continue_what_is_smooth(shape, draw):
    """One colour within a level of 255, slopes within four."""
    prepare(load_config(["--mode", "pynative"]))
    inpainter, (height, width), hole = Inpainter(ROOT / SHIPPED, batch_size=4), shape, draw(*shape)
    assert 0.4 < hole.mean() < 0.61
    flat = np.full((height, width, 3), (200, 120, 40), np.uint8)
    y, x = np.mgrid[0 : 255 : height * 1j, 0 : 255 : width * 1j]
    slopes = np.rint(np.stack([x, y, (x + y) / 2], axis=-1)).astype(np.uint8)
    for image, levels in ((flat, 1), (slopes, 4)):
        assert np.abs(inpainter(image, hole).astype(int) - image).max() <= levels


def test_infer_says_that_it_uses_them(pairs, tmp_path, capsys):
    photo, hole = pairs[1]
    Image.fromarray(photo).save(tmp_path / "photo.png")
    Image.fromarray(hole).save(tmp_path / "mask.png")
    options = {"image": tmp_path / "photo.png", "mask": tmp_path / "mask.png", "output": tmp_path / "filled.png"}
    run(infer_py.main, words(options | {"mode": "pynative"}))
    assert f"using the weights that ship with the project, {SHIPPED}" in capsys.readouterr().out
    filled = np.asarray(Image.open(tmp_path / "filled.png"))
    np.testing.assert_array_equal(filled[~hole], photo[~hole])
    assert np.any(filled[hole] != photo[hole])


@pytest.mark.slow
def test_bfloat16_is_near_to_float32_in_their_holes(pairs, tmp_path):
    require_packages()
    if not has_bfloat16():
        pytest.skip("this CPU does not compute in bfloat16")
    export = ROOT / "export.py"
    words = ["--checkpoint_path", ROOT / SHIPPED, "--output_path", tmp_path / "shipped.onnx"]
    subprocess.run([sys.executable, export, *words], check=True, capture_output=True)
    exact, rough = (Inpainter(tmp_path / "shipped.onnx", precision=p) for p in ("float32", "bfloat16"))
    errors = [np.square(rough(photo, hole).astype(float) - exact(photo, hole))[hole] / 255**2 for photo, hole in pairs]
    psnr = -10 * np.log10(np.concatenate(errors).mean())
    print(f"bfloat16 against float32, inside the holes: {psnr:.1f} dB")
    assert 50 < psnr < 80


def test_their_card_says_what_they_are():
    file = ROOT / SHIPPED / "generator.ckpt"
    _, info, _ = read_network(file)
    card = (ROOT / SHIPPED / "README.md").read_text(encoding="utf-8")
    assert file.stat().st_size < 15e6
    assert f"{info.iteration:,} iterations" in card
    assert f"--width {info.width:g}" in card
    assert ("--seamless true" in card) == info.seamless
    assert len(re.findall(r"^\| \S+\.jpg \|", card, flags=re.MULTILINE)) == 72  # credits, photo by photo
