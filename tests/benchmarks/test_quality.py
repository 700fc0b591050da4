"""benchmarks/quality.py."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from benchmarks.quality import HOLE, WIDTHS, draw_hole
from src.evaluation.baselines import BASELINES, inpaint_baseline
from tests.command_line import ROOT

CLASSICAL = tuple(BASELINES)


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


def test_given_holes_are_a_row_each_and_their_mean(photos, tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "cases.csv").write_text(
        "\ufeffcase,photo,hole\nsquare,a.png,a square\nline,deep/b.png,a line\n", "utf-8"
    )
    hole = np.zeros((120, 160), np.uint8)
    hole[30:60, 50:80] = 255
    Image.fromarray(hole).save(tmp_path / "masks" / "square.png")
    Image.fromarray(np.eye(160, 120, dtype=np.uint8) * 255).save(tmp_path / "masks" / "line.png")
    done = quality(photos, "--removals", tmp_path, "--methods", "telea,harmonic", "--output", tmp_path / "scores.csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "scores.csv").open()))
    assert [(row["width"], row["method"]) for row in rows] == [
        (case, method) for case in ("square", "line") for method in ("telea", "harmonic")
    ]
    assert float(rows[0]["hole_ratio"]) == 900 / (120 * 160)
    mean = np.mean([float(row["hole_psnr"]) for row in rows if row["method"] == "telea"])
    assert f"| removals, mean | telea | {mean:.2f} |" in done.stdout
    hole[0] = 255
    Image.fromarray(hole[:100]).save(tmp_path / "masks" / "square.png")
    wrong = quality(photos, "--removals", tmp_path, "--methods", "telea")
    assert (wrong.returncode, wrong.stderr) == (2, "error: the mask of square is 160x100, its photo 160x120\n")


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
        ([photos / "none"], f"error: {photos / 'none'} does not exist; give an image or a folder of images"),
        ([photos, "--methods", "magic"], "error: --methods magic: choose from telea, ns, biharmonic, harmonic"),
        ([photos, "--methods", "none"], "error: nothing to compare: give --widths or --removals, and"),
        ([photos, "--removals", tmp_path], f"error: --removals {tmp_path}: {tmp_path / 'cases.csv'} does not exist"),
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
