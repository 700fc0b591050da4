"""Files of other code bases with weights by rule, and the converter that reads them."""

import json
from pathlib import Path

import numpy as np

import convert
from model_utils.config import load_config
from src.convert.names import MODELZOO, PYTORCH
from src.ctsdg.convert import layout
from tests.parity.rule_weights import rule_state

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "fixtures" / "ctsdg"
OFFICIAL_SHAPES = json.loads((DATA / "official_shapes.json").read_text())
MODELZOO_SHAPES = json.loads((DATA / "modelzoo_shapes.json").read_text())
NETWORKS = ("generator", "discriminator")


def run_convert(source: str, model: str, path: Path, output: Path, *options: str) -> Path:
    """convert.py, without a process of its own; the output's path."""
    argv = ["--source", source, "--model", model, "--input", str(path), "--output", str(output), *options]
    convert.main(load_config(argv, rules=convert.OPTION_RULES))
    return output


def official_states(width: float = 1.0, salt: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """The state dicts of an official CTSDG checkpoint, in their order."""
    shapes = OFFICIAL_SHAPES if width == 1.0 else {name: narrow_shapes(name, width, PYTORCH) for name in NETWORKS}
    return {name: rule_state(shapes[name], salt) for name in NETWORKS}


def modelzoo_states(width: float = 1.0, salt: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """The same weights under the model zoo's names and in its shapes."""
    states = {}
    for name, official in official_states(width, salt).items():
        shapes = MODELZOO_SHAPES[name] if width == 1.0 else narrow_shapes(name, width, MODELZOO)
        official_names = dict(layout(name, width, PYTORCH)[1])
        zoo_names = {theirs: ours for ours, theirs in layout(name, width, MODELZOO)[1]}
        states[name] = {zoo: official[official_names[zoo_names[zoo]]].reshape(shape) for zoo, shape in shapes.items()}
    return states


def narrow_shapes(name: str, width: float, column: int) -> dict[str, tuple]:
    """Names and shapes of a network that nobody published, as the converter's own table has them."""
    shapes, pairs = layout(name, width, column)
    columns = {
        theirs: (*shapes[ours], 1) for ours, theirs in pairs if column == MODELZOO and ours.endswith((".u", ".v"))
    }
    return {theirs: columns.get(theirs, shapes[ours] if ours else ()) for ours, theirs in pairs}


def write_official(path: Path, states: dict[str, dict[str, np.ndarray]], iteration: int = 0) -> Path:
    import torch

    torch.save({"n_iter": iteration, **{name: as_tensors(state) for name, state in states.items()}}, path)
    return path


def write_state(path: Path, state: dict[str, np.ndarray]) -> Path:
    """One state dict, as torch.save writes it."""
    import torch

    torch.save(as_tensors(state), path)
    return path


def assert_same(found: dict, expected: dict[str, np.ndarray]) -> None:
    """Of two state dicts, the first of tensors: same names in the same order, every array equal bit for bit."""
    assert list(found) == list(expected)
    for name, array in expected.items():
        tensor = found[name].numpy()
        assert (tensor.dtype, tensor.shape) == (array.dtype, array.shape), name
        assert tensor.tobytes() == array.tobytes(), name


def assert_file_holds(path: Path, expected: dict[str, np.ndarray]) -> None:
    import torch

    assert_same(torch.load(path, weights_only=True), expected)


def as_tensors(state: dict[str, np.ndarray]) -> dict:
    import torch

    return {name: torch.from_numpy(array) for name, array in state.items()}


def write_modelzoo(path: Path, state: dict[str, np.ndarray]) -> Path:
    import mindspore as ms

    ms.save_checkpoint([{"name": name, "data": ms.Tensor(array)} for name, array in state.items()], str(path))
    return path
