"""export.py: a file that computes what its checkpoint computes, and says how to use it. Run as users run it.

The real run is the fixture `mindir`; a cell exported in this process must not meet a loaded graph here.
"""

import json

import numpy as np
import pytest

import export as entry_point
from model_utils.entry import run
from src.data.edges import edge_and_gray
from src.data.images import to_uint8
from src.export.trial import example_inputs, largest_difference, try_network
from src.inference.load import load_inpainting
from src.inference.sidecar import sha256
from src.models import get_model
from src.network_info import COMPOSITE


def test_the_json_says_how_to_use_the_file(mindir):
    facts = json.loads(mindir.with_suffix(".json").read_text())
    assert {name: facts[name] for name in ("model", "width", "image_size", "edge_mode", "sigma", "iteration")} == {
        "model": "ctsdg",
        "width": 0.02,
        "image_size": 128,
        "edge_mode": "clean",
        "sigma": 1.5,
        "iteration": 12,
    }
    assert facts["align_corners"] is False
    assert [(entry["name"], entry["shape"]) for entry in facts["inputs"]] == [
        ("image", [2, 3, 128, 128]),
        ("mask", [2, 1, 128, 128]),
        ("edge", [2, 1, 128, 128]),
        ("gray", [2, 1, 128, 128]),
    ]
    for entry in [*facts["inputs"], *facts["outputs"]]:
        assert entry["dtype"] == "float32"
        assert set(entry) == {"name", "shape", "dtype", "range", "meaning"}
    assert [(entry["name"], entry["shape"]) for entry in facts["outputs"]] == [("composite", [2, 3, 128, 128])]
    assert "matching_lambda" not in facts
    assert facts["sha256"] == sha256(mindir)
    assert "mindspore" in facts["versions"]
    assert sorted(path.name for path in mindir.parent.iterdir()) == ["small.json", "small.mindir"]
    assert mindir.stat().st_mode & 0o777 == 0o644


def test_example_inputs_are_what_evaluation_would_give():
    info = get_model("ctsdg").info("generator", image_size=128, edge_mode="published", sigma=3.0)
    arrays = example_inputs(info, 3)
    assert [(name, array.shape, array.dtype) for name, array in arrays.items()] == [
        (name, (3, channels, 128, 128), np.float32)
        for name, channels in (("image", 3), ("mask", 1), ("edge", 1), ("gray", 1))
    ]
    for i in range(3):
        edge, gray = edge_and_gray(to_uint8(arrays["image"][i]), "published", 3.0)
        np.testing.assert_array_equal(arrays["edge"][i], edge)
        np.testing.assert_array_equal(arrays["gray"][i], gray)
        assert 0.2 <= 1 - arrays["mask"][i].mean() <= 0.4
        assert arrays["edge"][i].any()


def test_the_difference_is_measured_in_a_fresh_process(mindir, checkpoint):
    (exported,) = try_network(*load_inpainting(checkpoint, {}), 2)
    exported.outputs[COMPOSITE][1, 2, 3, 4] += 0.25
    assert largest_difference(mindir, exported, 2, "CPU", 0) == pytest.approx(0.25, abs=1e-4)


@pytest.mark.parametrize("difference", [2e-4, float("nan")])
def test_a_file_that_computes_something_else_gets_no_name(difference, checkpoint, tmp_path, monkeypatch, capsys):
    old = {tmp_path / "x.mindir": b"old", tmp_path / "x.json": b"{}"}
    for path, content in old.items():
        path.write_bytes(content)
    monkeypatch.setattr("src.export.trial.largest_difference", lambda *_: difference)
    monkeypatch.setattr("src.export.mindir.write", lambda exported, batch_size, path: path.write_bytes(b"new"))
    words = ["--checkpoint_path", str(checkpoint), "--output_path", str(tmp_path / "x.mindir")]
    with pytest.raises(SystemExit) as stop:
        run(entry_point.main, [*words, "--mode", "pynative", "--overwrite"])
    output = capsys.readouterr()
    assert stop.value.code == 1
    assert output.err == f"error: that is over 0.0001, so {tmp_path}/x.mindir was not written\n"
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == old


@pytest.mark.parametrize("taken", ["x.mindir", "x.json"])
def test_files_are_replaced_only_when_asked(taken, checkpoint, tmp_path, capsys):
    (tmp_path / taken).write_text("mine")
    with pytest.raises(SystemExit) as stop:
        run(entry_point.main, ["--checkpoint_path", str(checkpoint), "--output_path", str(tmp_path / "x.mindir")])
    assert (stop.value.code, capsys.readouterr().err) == (
        2,
        f"error: {tmp_path / taken} exists; --overwrite replaces it\n",
    )
    assert (tmp_path / taken).read_text() == "mine"
