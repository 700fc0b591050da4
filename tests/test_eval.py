"""eval.py: numbers that can be checked by hand, and the files it leaves."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import eval as entry_point
from model_utils.entry import run
from src.data.images import to_uint8
from src.data.samples import EvaluationSamples
from src.drawing.sheet import GAP, LINE
from src.evaluation.baselines import inpaint_baseline
from src.evaluation.evaluation import Evaluation, baseline_method, score
from src.evaluation.image_quality import PROTOCOLS
from src.evaluation.report import FILES, LEAST, PANEL, contact_sheet, extremes, write_report
from src.inference.inpainter import Inpainter
from tests.command_line import ROOT, words
from tests.defaults import with_defaults
from tests.onnx_files import from_mindir, require_packages

SIZE = 128
HOLE_ROWS = (16, 40, 70, 90, 16)  # of 128: 12.5, 31, 55 and 70 % hole


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of five images, one of them in a folder of its own, and a folder of four masks."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "images" / "deep").mkdir(parents=True)
    (folder / "masks").mkdir()
    for i in range(5):
        name = "deep/e.png" if i == 4 else f"{'abcd'[i]}.png"
        Image.fromarray(data.astronaut()[20 * i : 20 * i + SIZE, 100 : 100 + SIZE]).save(folder / "images" / name)
    for i, rows in enumerate(HOLE_ROWS[:4]):
        hole = np.zeros((SIZE, SIZE), bool)
        hole[20 : 20 + rows] = True
        Image.fromarray(hole).save(folder / "masks" / f"{i}.png")
    return folder


def options(images: Path, checkpoint: Path, output: Path, *more: str) -> list[str]:
    options = {"checkpoint_path": checkpoint, "data_root": images / "images", "eval_masks_root": images / "masks"}
    return [*words(options | {"output_path": output, "mode": "pynative"}), *more]


@pytest.fixture(scope="module")
def evaluated(images, checkpoint, tmp_path_factory):
    """What a real process leaves, in batches that do not divide the images; its output and its folder."""
    folder = tmp_path_factory.mktemp("evaluated") / "new" / "folder"
    more = ("--baselines", "telea,ns", "--eval_batch_size", "2")
    done = subprocess.run(
        [sys.executable, ROOT / "eval.py", *options(images, checkpoint, folder, *more)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done, folder


def test_files_and_table(evaluated):
    done, folder = evaluated
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    table = (folder / "metrics.md").read_text()
    assert done.stdout == f"{table}\nwrote {', '.join(FILES)} to {folder}\n"
    for method in ("ctsdg", "telea", "ns"):
        assert f"| overall | {method} |" in table
    assert f"Protocol `zoo`, measured at {SIZE}x{SIZE} pixels" in table
    assert done.stderr.splitlines()[-1].startswith("Evaluating 5/5")  # no terminal, so plain lines, and no warnings


def test_every_image_is_scored_as_scikit_image_would(evaluated, images, checkpoint):
    rows = list(csv.DictReader((evaluated[1] / "per_image.csv").open()))
    assert [row["name"] for row in rows] == ["a.png", "b.png", "c.png", "d.png", "deep/e.png"]
    assert [row["mask"] for row in rows] == ["0.png", "1.png", "2.png", "3.png", "0.png"]
    assert [row["bucket"] for row in rows] == ["0-20%", "20-40%", "40-60%", ">60%", "0-20%"]
    inpainter = Inpainter(checkpoint)
    for row, hole_rows in zip(rows, HOLE_ROWS, strict=True):
        assert float(row["hole_ratio"]) == hole_rows / SIZE
        image = np.asarray(Image.open(images / "images" / row["name"]))
        hole = np.asarray(Image.open(images / "masks" / row["mask"]))
        for prefix, composite in (
            ("", inpainter(image, hole)),
            ("telea_", inpaint_baseline("telea", image, ~hole)),
            ("ns_", inpaint_baseline("ns", image, ~hole)),
        ):
            # The network's composite is scored before it is rounded to 8 bits.
            tolerance = 0.02 if prefix == "" else 1e-4
            expected = peak_signal_noise_ratio(image, composite)
            assert float(row[f"{prefix}psnr"]) == pytest.approx(expected, abs=tolerance)
            expected = structural_similarity(
                image, composite, gaussian_weights=True, use_sample_covariance=False, channel_axis=-1
            )
            assert float(row[f"{prefix}ssim"]) == pytest.approx(expected, abs=tolerance / 10)
            expected = np.abs(image / 255 - composite / 255).mean()
            assert float(row[f"{prefix}mae"]) == pytest.approx(expected, abs=tolerance / 10)


def test_names_in_any_encoding_are_written(tmp_path):
    image, mask = tmp_path / os.fsdecode(b"caf\xe9.png"), tmp_path / os.fsdecode(b"\xff.png")
    Image.fromarray(data.astronaut()[:32, :32]).save(image)
    Image.fromarray(np.eye(32, dtype=bool)).save(mask)
    samples = with_defaults(EvaluationSamples, [image], [mask], 32)
    evaluation = Evaluation(samples, {"telea": baseline_method("telea")}, PROTOCOLS["zoo"])
    evaluation.run()
    (tmp_path / "out").mkdir()
    write_report(tmp_path / "out", evaluation, {"options": {"data_root": str(image)}})
    rows = (tmp_path / "out" / "per_image.csv").read_text(encoding="utf-8").splitlines()
    assert rows[1].startswith("caf\\udce9.png,\\udcff.png,")


def test_metrics_json_says_what_the_numbers_are(evaluated, images, checkpoint):
    metrics = json.loads((evaluated[1] / "metrics.json").read_text())
    rows = list(csv.DictReader((evaluated[1] / "per_image.csv").open()))
    assert list(metrics) == ["buckets", "overall", "baselines", "speed", "protocol"]
    assert {name: bucket["count"] for name, bucket in metrics["buckets"].items()} == {
        "0-20%": 2,
        "20-40%": 1,
        "40-60%": 1,
        ">60%": 1,
    }
    assert metrics["overall"]["count"] == metrics["baselines"]["telea"]["overall"]["count"] == 5
    assert metrics["overall"]["psnr"] == pytest.approx(np.mean([float(row["psnr"]) for row in rows]))
    assert metrics["buckets"]["0-20%"]["ssim"] == pytest.approx((float(rows[0]["ssim"]) + float(rows[4]["ssim"])) / 2)

    assert metrics["speed"]["batch_size"] == 2
    assert metrics["speed"]["pictures_per_second"] > 0
    assert metrics["speed"]["network_seconds"] > metrics["speed"]["network_seconds_first_batch"] > 0
    protocol = metrics["protocol"]
    assert (protocol["name"], protocol["pairing"]) == ("zoo", "image i with mask i mod 4")
    assert protocol["options"]["data_root"] == str(images / "images")
    assert (protocol["checkpoint"]["path"], protocol["checkpoint"]["iteration"]) == (str(checkpoint), 12)
    assert "mindspore" in protocol["versions"]


def test_the_contact_sheet_shows_best_median_and_worst(evaluated, images):
    sheet = Image.open(evaluated[1] / "contact_sheet.png")
    columns, rows = 5, 5  # input, three methods, truth; the two images of one bucket and one of each other
    assert columns * PANEL <= sheet.width < (columns + 1) * PANEL
    assert rows * PANEL <= sheet.height < (rows + 1) * PANEL


@pytest.fixture
def telea(images):
    """Telea's method as the one under test: no network, so it is quick."""
    image_paths = sorted((images / "images").rglob("*.png"))
    mask_paths = sorted((images / "masks").iterdir())[:1]
    evaluation = Evaluation(
        with_defaults(EvaluationSamples, image_paths, mask_paths, SIZE),
        {"telea": baseline_method("telea")},
        PROTOCOLS["zoo"],
    )
    evaluation.run(batch_size=3, num_workers=2)
    return evaluation


def test_extremes_are_by_psnr_and_each_image_once(telea):
    scores = telea.scores["telea"]
    best, median, worst = extremes(scores)
    order = sorted(range(5), key=lambda i: -scores.scores[i].psnr)
    assert (best, median, worst) == (("0-20%, best", order[0]), ("0-20%, median", order[2]), ("0-20%, worst", order[4]))
    scores.scores[2:] = []
    assert [label for label, _ in extremes(scores)] == ["0-20%, best", "0-20%, median"]


def panels(sheet: np.ndarray, count: int) -> list[np.ndarray]:
    """The images of the sheet's first row."""
    top = 3 * LINE  # below titles, caption and notes
    lefts = range(GAP, GAP + count * (PANEL + GAP), PANEL + GAP)
    return [sheet[top : top + PANEL, left : left + PANEL] for left in lefts]


def enlarged(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image.astype(np.uint8)).resize((PANEL, PANEL), Image.Resampling.LANCZOS))


def test_the_sheets_images_are_input_output_and_truth(telea):
    i = extremes(telea.scores["telea"])[0][1]
    sample = telea.samples[i]
    output = inpaint_baseline("telea", sample.pixels, sample.mask)
    masked = np.where(sample.mask[0][..., None] > 0, sample.pixels, 255)
    images = (masked, output, sample.pixels)  # whole, as the hole reaches from side to side
    for found, image in zip(panels(np.asarray(contact_sheet(telea)), 3), images, strict=True):
        np.testing.assert_array_equal(found, enlarged(image))


def test_the_sheet_shows_a_small_hole_enlarged(images, tmp_path):
    hole = np.zeros((SIZE, SIZE), bool)
    hole[30:42, 80:88] = True
    Image.fromarray(hole).save(tmp_path / "mask.png")
    samples = with_defaults(EvaluationSamples, [images / "images" / "a.png"], [tmp_path / "mask.png"], SIZE)
    evaluation = Evaluation(samples, {"telea": baseline_method("telea")}, PROTOCOLS["zoo"])
    evaluation.run()
    truth = panels(np.asarray(contact_sheet(evaluation)), 3)[2]
    np.testing.assert_array_equal(truth, enlarged(samples[0].pixels[4 : 4 + LEAST, 52 : 52 + LEAST]))


def test_known_pixels_count_as_perfect(telea):
    sample = telea.samples[0]
    np.testing.assert_array_equal(to_uint8(sample.image), sample.pixels)
    perfect = score(sample, sample.image, PROTOCOLS["zoo"])
    assert (perfect.psnr, perfect.ssim, perfect.mae) == (100.0, pytest.approx(1), 0.0)


def test_results_are_replaced_only_when_asked(images, checkpoint, tmp_path, capsys):
    words = [*options(images, checkpoint, tmp_path), "--data_root", str(images / "images" / "deep")]
    (tmp_path / "per_image.csv").write_text("mine")
    with pytest.raises(SystemExit) as stop:
        run(entry_point.main, words)
    assert (stop.value.code, capsys.readouterr().err) == (
        2,
        f"error: {tmp_path}/per_image.csv exists; --overwrite replaces it\n",
    )
    assert (tmp_path / "per_image.csv").read_text() == "mine"
    run(entry_point.main, [*words, "--overwrite"])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    assert json.loads((tmp_path / "metrics.json").read_text())["baselines"] == {}


def test_a_mindir_scores_as_its_checkpoint(images, mindir, evaluated, tmp_path):
    run(entry_point.main, options(images, mindir, tmp_path))
    ours, expected = (json.loads((folder / "metrics.json").read_text()) for folder in (tmp_path, evaluated[1]))
    assert ours["overall"] == pytest.approx(expected["overall"], abs=1e-4)
    assert ours["speed"]["batch_size"] == 2


def test_so_does_an_onnx_file(images, mindir, evaluated, tmp_path):
    require_packages()
    extra = ["--runtime", "onnxruntime"]
    run(entry_point.main, [*options(images, from_mindir(mindir, tmp_path), tmp_path / "out"), *extra])
    ours, expected = (json.loads((folder / "metrics.json").read_text()) for folder in (tmp_path / "out", evaluated[1]))
    assert ours["overall"] == pytest.approx(expected["overall"], abs=1e-3)
    assert ours["protocol"]["options"]["runtime"] == "onnxruntime"
    assert "runtime" not in expected["protocol"]["options"]
