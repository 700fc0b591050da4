"""DGTS's generator and ResNet-50 through convert.py, there and back."""

import json
from pathlib import Path

import numpy as np
import pytest

import convert
from model_utils.entry import run
from src.checkpoint import read_network, save_network
from src.dgts.convert import PARALLEL, layout
from src.dgts.convert_resnet import layout as resnet_layout
from src.models import get_model
from src.network_info import NetworkInfo
from tests.parity.official import assert_file_holds, run_convert, write_state
from tests.parity.rule_weights import rule_state

pytest.importorskip("torch")
OFFICIAL = json.loads((Path(__file__).parents[1] / "fixtures" / "dgts" / "official_shapes.json").read_text())[
    "generator"
]
WIDTH = 0.05


def narrow_state() -> dict[str, np.ndarray]:
    shapes, pairs = layout(WIDTH)
    return {PARALLEL + name: array for name, array in rule_state({b: shapes[a] for a, b in pairs}).items()}


def refused(capsys, source: str, model: str, path: Path, output: Path, *options: str) -> str:
    with pytest.raises(SystemExit) as stop:
        run(
            convert.main,
            ["--source", source, "--model", model, "--input", str(path), "--output", str(output), *options],
        )
    assert stop.value.code == 2
    assert not output.exists()
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("error: ")


def test_the_table_gives_every_official_array_in_order():
    shapes, pairs = layout(1.0)
    assert sorted(ours for ours, _ in pairs) == sorted(shapes)
    assert [(theirs, list(shapes[ours])) for ours, theirs in pairs] == list(OFFICIAL.items())


def test_the_way_back_is_exact_and_lambda_is_kept(tmp_path):
    state = narrow_state()
    ours = run_convert("official", "dgts", write_state(tmp_path / "places.pth", state), tmp_path / "generator.ckpt")
    assert read_network(ours)[1] == get_model("dgts").info("generator", width=WIDTH)
    assert_file_holds(run_convert("ours", "dgts", tmp_path, tmp_path / "back.pth"), state)

    options = ("--matching_lambda", "0.3", "--overwrite")
    run_convert("official", "dgts", tmp_path / "places.pth", ours, *options)
    assert read_network(ours)[1].matching_lambda == 0.3


def test_resnet50_there_and_back(tmp_path):
    shapes, pairs = resnet_layout()
    state = rule_state({theirs: shapes[ours] for ours, theirs in pairs})
    assert len(state) == 53 * 5  # convolutions, each with the four arrays of its norm
    classifier = {"fc.weight": np.zeros((1000, 2048), np.float32), "fc.bias": np.zeros(1000, np.float32)}
    counters = {"bn1.num_batches_tracked": np.array(3), "layer1.0.bn1.num_batches_tracked": np.array(3)}
    file = write_state(tmp_path / "resnet50.pth", state | classifier | counters)
    ours = run_convert("torchvision", "resnet50", file, tmp_path / "resnet50.ckpt")
    assert read_network(ours)[1] == NetworkInfo("resnet50", "resnet50")
    assert_file_holds(run_convert("ours", "resnet50", ours, tmp_path / "back.pth"), state)


def test_what_users_get_wrong(capsys, tmp_path):
    state, output = narrow_state(), tmp_path / "generator.ckpt"
    spoilt = {name: array for name, array in state.items() if name != f"{PARALLEL}aq.weight"}
    spoilt[f"{PARALLEL}surplus"] = np.zeros(3, np.float32)
    line = refused(capsys, "official", "dgts", write_state(tmp_path / "a.pth", spoilt), output)
    assert "does not fit: missing: aq.weight; unknown: surplus" in line
    path = write_state(tmp_path / "places.pth", state)
    assert "a network's file ends in .ckpt" in refused(capsys, "official", "dgts", path, tmp_path / "folder")
    assert "missing: conv1.weight" in refused(capsys, "torchvision", "resnet50", path, output)
    assert "missing: " in refused(capsys, "official", "upsampler", path, output)
    assert "only ctsdg does" in refused(capsys, "official", "dgts", path, output, "--edge_mode", "clean")
    assert "there are " in refused(capsys, "modelzoo", "dgts", path, output)
    path.write_bytes(path.read_bytes()[:-1000])
    assert "damaged" in refused(capsys, "official", "dgts", path, output)

    save_network(tmp_path / "x.ckpt", {"a": np.zeros(3, np.float32)}, get_model("upsampler").info("upsampler"))
    line = refused(capsys, "ours", "dgts", tmp_path / "x.ckpt", tmp_path / "x.pth")
    assert "holds upsampler upsampler, not dgts generator" in line
    assert "not resnet50" in refused(capsys, "ours", "resnet50", tmp_path / "x.ckpt", tmp_path / "x.pth")
