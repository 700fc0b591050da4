"""benchmarks/study.py, through scripts/study.sh."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks.study import RUNS, TEST_FACES, draw_study, trained_hours
from src.drawing.curves import COLOURS, PANEL, panel_size
from tests.command_line import ROOT

QUICK = "--train_iter 2 --width 0.05 --batch_size 2 --mode pynative --log_frequency_step 1"


def study(*words: object) -> subprocess.CompletedProcess:
    command = ["bash", ROOT / "scripts" / "study.sh", *words]
    environment = os.environ | {"PYTHON": sys.executable}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Faces of which three serve for training and two for the test, and masks with holes from 0.5 to 100 %."""
    folder = tmp_path_factory.mktemp("study")
    faces, masks = folder / "faces", folder / "masks"
    (faces / "img_align_celeba").mkdir(parents=True)
    masks.mkdir()
    rng, lines = np.random.default_rng(0), []
    for i in range(5):
        name = f"{i:06}.jpg"
        Image.fromarray(rng.integers(0, 256, (109, 89, 3), np.uint8)).save(faces / "img_align_celeba" / name)
        lines.append(f"{name} {0 if i < 3 else 2}")
    (faces / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")
    for i in range(2 * TEST_FACES):
        mask = np.zeros((25, 24), np.uint8)
        mask.flat[: i + 1] = 255
        Image.fromarray(mask).save(masks / f"{i:05}.png")
    return faces, masks


@pytest.mark.slow
def test_runs_are_trained_scored_and_not_done_again(material, tmp_path):
    out = tmp_path / "out"
    done = study(*material, out, "ours", "no_cfa", "--options", QUICK)
    assert done.returncode == 0, done.stderr
    masks = sorted(path.name for path in (out / "masks").iterdir())
    assert masks == [f"{2 * i:05}.png" for i in range(TEST_FACES)]
    first, second = (json.loads((out / name / "scores0" / "metrics.json").read_text()) for name in ("ours", "no_cfa"))
    assert first["protocol"]["checkpoint"]["iteration"] == 2
    assert first["baselines"] == second["baselines"]
    table = (out / "study.md").read_text()
    assert table in done.stdout
    rows = [line.split(" | ")[0].strip("| ") for line in table.splitlines() if line.startswith("| ")]
    ours = RUNS["ours"].words
    assert rows[1:] == ["telea", "ns", "without CFA", ours, f"{ours}, moving average"]
    line = next(line for line in table.splitlines() if line.startswith(f"| {ours} | ours | "))
    assert f" | {first['buckets']['0-20%']['psnr']:.2f} / " in line
    (revision,) = (out / "ours" / "revisions").read_text().split()
    assert f" | {revision} | 2 | " in line

    written = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.stem != "study"}
    again = study(*material, out, "ours", "no_cfa", "--options", QUICK)
    assert again.stdout.strip() == table.strip()
    assert written == {path: path.stat().st_mtime_ns for path in written}


def test_a_failing_run_ends_the_study_with_its_code(material, tmp_path):
    done = study(*material, tmp_path / "out", "base", "--options", "--train_itr 2")
    assert done.returncode == 2
    assert "train_itr" in done.stderr
    assert not (tmp_path / "out" / "study.md").exists()


def test_mistakes_are_told_in_a_line(material, tmp_path):
    faces, masks = material
    for words, message in (((faces, masks, tmp_path, "bse"), "base"), ((faces, faces, tmp_path), str(TEST_FACES))):
        done = study(*words)
        assert done.returncode == 2
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert all(name in study("--help").stdout for name in RUNS)


def test_hours_are_those_of_all_iterations(tmp_path):
    with open(tmp_path / "metrics.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["iteration", "seconds_per_iteration"], [10, 36.0], [30, 18.0], [40, 360.0]])
    assert trained_hours(tmp_path / "metrics.csv") == pytest.approx(0.1 + 0.1 + 1)


def test_curves_show_shares_of_base_and_decibels(tmp_path):
    """Left a run that falls below base in its course, right one whose loss is minus decibels; in the order of RUNS."""
    steps = np.arange(10, 1010, 10)
    losses = {"base": np.full(100, 0.5), "no_cfa": np.linspace(0.6, 0.4, 100), "ours": -np.linspace(10, 20, 100)}
    for name, values in losses.items():
        (tmp_path / name / "run").mkdir(parents=True)
        with open(tmp_path / name / "run" / "metrics.csv", "w", newline="") as file:
            csv.writer(file).writerows([("iteration", "loss_hole"), *zip(steps, values, strict=True)])
    draw_study(tmp_path, tmp_path / "study.png")
    sheet, width = np.asarray(Image.open(tmp_path / "study.png")), panel_size()[0]
    assert sheet.shape == (panel_size()[1], 2 * width, 3)
    for panel, place, sign in ((sheet[:, :width], 1, 1), (sheet[:, width:], 0, -1)):
        curve = (panel == COLOURS[place]).all(axis=2)
        curve[:40] = False  # the legend
        first, *_, last = (np.flatnonzero(curve[:, x]).mean() for x in np.flatnonzero(curve.any(axis=0)))
        assert sign * (last - first) > PANEL[1] / 2  # rows count downwards
