"""benchmarks/quality.py."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from benchmarks.quality import CLASSICAL, HOLE, WIDTHS, draw_hole
from src.evaluation.baselines import inpaint_baseline
from tests.command_line import ROOT


def quality(*words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "benchmarks" / "quality.py", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    (folder / "deep").mkdir()
    Image.fromarray(data.astronaut()[:120, 100:260]).save(folder / "a.png")
    Image.fromarray(data.chelsea()[100:260, 100:220]).save(folder / "deep" / "b.png")
    return folder


@pytest.fixture(scope="module")
def compared(photos, checkpoint, tmp_path_factory):
    """Standard output, scores and the folder of sheets."""
    folder = tmp_path_factory.mktemp("compared")
    outputs = ["--output", folder / "scores.csv", "--pictures", folder / "sheets"]
    done = quality(photos, "--checkpoints", f"ours={checkpoint}", "--widths", "medium,wide", *outputs)
    assert done.returncode == 0, done.stderr
    return done.stdout, list(csv.DictReader((folder / "scores.csv").open())), folder / "sheets"


def test_rows_are_the_scores_inside_holes(compared, photos):
    _, rows, _ = compared
    assert len(rows) == 2 * 2 * (1 + len(CLASSICAL))
    for row in rows:
        truth = np.asarray(Image.open(photos / row["photo"]))
        hole = draw_hole(row["photo"], truth.shape[:2], row["width"])
        assert float(row["hole_ratio"]) == hole.mean()
        if row["method"] == "ours":
            continue
        error = (inpaint_baseline(row["method"], truth, ~hole)[hole] - truth[hole].astype(float)) / 255
        assert float(row["hole_mae"]) == pytest.approx(np.abs(error).mean())
        assert float(row["hole_psnr"]) == pytest.approx(-10 * np.log10((error**2).mean()))
        # All of the photo's error is inside the hole.
        assert float(row["psnr"]) == pytest.approx(-10 * np.log10((error**2).mean() * hole.mean()))


def test_the_table_has_the_means_and_says_who_leads(compared):
    table, rows, _ = compared
    means = {}
    for method in ("ours", *CLASSICAL):
        chosen = [row for row in rows if (row["method"], row["width"]) == (method, "wide")]
        means[method] = np.mean([float(row["hole_psnr"]) for row in chosen])
        assert f"| wide, 44 to 100 px | {method} | {means[method]:.2f} |" in table
    best = max(CLASSICAL, key=means.get)
    assert f"ours, wide: {means['ours'] - means[best]:+.2f} dB in holes against {best}" in table


def test_sheets_are_numbered_from_the_best(compared):
    _, rows, sheets = compared
    psnr = {(row["photo"], row["width"], row["method"]): float(row["hole_psnr"]) for row in rows}
    for width in ("medium", "wide"):
        leads = {
            photo.replace("/", "_"): psnr[photo, width, "ours"] - max(psnr[photo, width, name] for name in CLASSICAL)
            for photo in ("a.png", "deep/b.png")
        }
        ordered = sorted(leads, key=leads.get, reverse=True)
        expected = [f"{width}_{i + 1}_{leads[name]:+.2f}dB_{name}.jpg" for i, name in enumerate(ordered)]
        assert sorted(path.name for path in sheets.glob(f"{width}*")) == expected
    assert len(list(sheets.iterdir())) == 4


@pytest.mark.parametrize("width", WIDTHS)
def test_a_photos_name_decides_its_hole(width):
    hole = draw_hole("a.png", (300, 400), width)
    assert HOLE[0] <= hole.mean() <= HOLE[1]
    np.testing.assert_array_equal(draw_hole("a.png", (300, 400), width), hole)
    assert (draw_hole("b.png", (300, 400), width) != hole).any()


def test_wrong_input_is_one_line(photos, checkpoint, tmp_path):
    (tmp_path / "scores.csv").write_text("mine")
    for words, expected in (
        ([], "error: the following arguments are required: folder"),
        ([photos / "none"], f"error: {photos / 'none'} does not exist; give a picture or a folder of pictures"),
        ([photos, "--methods", "magic"], "error: --methods magic: choose from telea, ns, biharmonic, harmonic"),
        ([photos, "--methods", "none"], "error: nothing to compare: give --widths, and"),
        ([photos, "--widths", ""], "error: nothing to compare"),
        ([photos, "--pictures", tmp_path / "sheets"], "error: --pictures sorts"),
        ([photos, "--output", tmp_path / "scores.csv"], f"error: {tmp_path / 'scores.csv'} exists"),
        ([photos, "--checkpoints", tmp_path], f"error: {tmp_path / 'generator.ckpt'} does not exist"),
        ([photos, "--checkpoints", checkpoint, checkpoint], "error: --checkpoints: two methods are called ctsdg"),
    ):
        done = quality(*words)
        assert done.returncode == 2
        assert done.stderr.startswith(expected)
        assert done.stderr.count("\n") == 1
    assert (tmp_path / "scores.csv").read_text() == "mine"
