"""Which runtimes demo.py offers for a file."""

import importlib.util

import pytest

from demo import runtimes
from src.errors import InputError


@pytest.fixture
def installed(monkeypatch):
    """Gives the runtimes that are found, whatever is."""

    def only(*names: str) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in names else None)

    return only


def test_one_runtime_is_enough(installed):
    installed("onnxruntime")
    assert runtimes("a.onnx", "") == ["onnxruntime"]


def test_the_named_one_comes_first(installed):
    installed("openvino", "onnxruntime")
    assert runtimes("a.onnx", "") == ["openvino", "onnxruntime"]
    assert runtimes("a.onnx", "onnxruntime") == ["onnxruntime", "openvino"]


@pytest.mark.parametrize(
    ("there", "first", "missing"), [([], "", "openvino"), (["onnxruntime"], "openvino", "openvino")]
)
def test_a_missing_one_is_named(installed, there, first, missing):
    installed(*there)
    with pytest.raises(InputError, match=f"files need {missing}, not installed"):
        runtimes("a.onnx", first)


def test_other_files_need_mindspore():
    assert runtimes("a.ckpt", "") == ["mindspore"]
