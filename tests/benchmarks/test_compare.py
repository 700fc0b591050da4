"""benchmarks/speed.py --compare."""

import importlib.util
import json
import subprocess
import sys

import pytest
from PIL import Image

from benchmarks.compare import as_table, check
from benchmarks.compare_row import ROWS
from src.errors import InputError
from tests.command_line import ROOT
from tests.onnx_files import require_packages


def test_missing_packages_are_named_with_what_installs_them(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("torch", "onnx") else find(name))
    with pytest.raises(InputError, match=r"needs torch and onnx.*-r requirements-convert.txt -r requirements-onnx.txt"):
        check("image", "ctsdg", [256], [1], 1)


@pytest.mark.parametrize(
    ("work", "model", "sizes", "batches"),
    [
        ("image", "vgg16", [256], [1]),
        ("image", "ctsdg", [200], [1]),
        ("image", "dgts", [256], [0]),
        ("train", "dgts", [256], [1]),
    ],
)
def test_what_cannot_be_compared_is_refused(work, model, sizes, batches):
    with pytest.raises(InputError, match=r"--compare|--sizes"):
        check(work, model, sizes, batches, 1)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--compare", "--image_size", "512"], "--image_size: --compare takes no such option, but --work "),
        (["--compare", "--mode", "pynative"], "--mode: --compare takes no such option"),
        (["--compare", "--only", "0"], "--only: --compare takes no such option"),
        (["--sizes", "512"], "--sizes: --compare is missing"),
        (["--work", "train"], "--work: --compare is missing"),
        (["--sises", "512"], "unknown option --sises"),
    ],
)
def test_options_that_would_change_nothing_are_refused(options, line):
    command = [sys.executable, ROOT / "benchmarks" / "speed.py", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"error: {line}")


def test_a_row_that_failed_is_a_line_below_the_table():
    assert as_table([{"row": "A", "error": "no bfloat16"}]).endswith("\nLeft out: A (no bfloat16)")


def test_convolutions_and_products_of_a_graph_are_counted():
    pytest.importorskip("onnx", reason="pip install -r requirements-onnx.txt")
    from onnx import TensorProto, helper

    from benchmarks.compare_row import count_onnx

    def value(name: str, *shape: int):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    nodes = [
        helper.make_node("Conv", ["x", "k"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("MatMul", ["a", "m"], ["b"]),
    ]
    inputs = [value("x", 1, 3, 8, 8), value("k", 4, 3, 3, 3), value("m", 8, 5)]
    model = helper.make_model(helper.make_graph(nodes, "graph", inputs, [value("b", 1, 4, 8, 5)]))
    assert count_onnx(model) == 2 * (4 * 8 * 8) * (3 * 3 * 3) + 2 * (4 * 8 * 5) * 8


@pytest.mark.slow
@pytest.mark.parametrize("model", ["ctsdg", "dgts"])
def test_every_row_is_timed(model, tmp_path):
    pytest.importorskip("torch")
    require_packages()
    options = ["--model", model, "--width", "0.05", "--sizes", "128", "--repeats", "1", "--output", tmp_path / "found"]
    subprocess.run([sys.executable, ROOT / "benchmarks" / "speed.py", "--compare", *options], check=True)
    (found,) = json.loads((tmp_path / "found" / "compare.json").read_text())["found"]
    rows = {row["row"]: row for row in found["rows"]}
    bfloat16 = rows.pop("OpenVINO, bfloat16")
    assert "seconds" in bfloat16 or "this CPU" in bfloat16["error"]
    assert all(row["seconds"] > 0 and row["gflop"] > 0 for row in rows.values())
    if model == "ctsdg":  # masks of many channels
        assert rows["PyTorch, as published"]["gflop"] > rows["MindSpore, this project"]["gflop"]
    assert "| MindSpore, this project |" in (tmp_path / "found" / "compare.md").read_text()
    Image.open(tmp_path / "found" / "compare.png").verify()


@pytest.mark.slow
def test_every_row_of_training_is_timed(tmp_path):
    pytest.importorskip("torch")
    require_packages()
    options = ["--work", "train", "--width", "0.05", "--sizes", "128", "--batches", "2", "--repeats", "1"]
    command = [sys.executable, ROOT / "benchmarks" / "speed.py", "--compare", *options, "--output", tmp_path]
    subprocess.run(command, check=True)
    (found,) = json.loads((tmp_path / "compare.json").read_text())["found"]
    assert {row["row"] for row in found["rows"] if row["seconds"] > 0} == set(ROWS["train"])
