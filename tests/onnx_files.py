"""ONNX files for tests, from MINDIR files that are there already: exporting a network anew takes longer."""

import json
from pathlib import Path

import pytest

from src.inference.onnx_runtimes import all_instructions
from src.inference.sidecar import sha256

RUNTIMES = ("openvino", "onnxruntime")


def require_packages() -> None:
    """Skip the test, or what asks, where a package is missing."""
    for package in ("onnx", *RUNTIMES):
        pytest.importorskip(package, reason="pip install -r requirements-onnx.txt")


def has_bfloat16() -> bool:
    """Whether OpenVINO computes in bfloat16 on this CPU."""
    import openvino

    with all_instructions():
        return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def from_mindir(path: Path, folder: Path) -> Path:
    """The ONNX file and its .json in the folder, by the name of the MINDIR."""
    import onnx

    from src.export.mindir_to_onnx import translate
    from src.export.read_mindir import read_mindir

    facts = json.loads(path.with_suffix(".json").read_text())
    names = ([entry["name"] for entry in facts[key]] for key in ("inputs", "outputs"))
    model = translate(read_mindir(path), *names)
    onnx.checker.check_model(model, full_check=True)
    file = folder / f"{path.stem}.onnx"
    onnx.save(model, str(file))
    file.with_suffix(".json").write_text(json.dumps(facts | {"sha256": sha256(file)}))
    return file
