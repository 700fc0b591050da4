"""A network as one MINDIR file, which runs without this project, and a JSON file that says how to use it.

`python -m src.export.mindir FILE.mindir INPUTS.npz OUTPUTS.npz TARGET DEVICE_ID BATCH_SIZE` runs such a file: the fresh
process in which an exported file proves itself.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.checkpoint import NetworkInfo
from src.data.edges import edge_and_gray
from src.data.images import normalise
from src.data.masks import draw_mask
from src.inference.mindspore_runtime import run_batches, sha256
from src.models import COMPOSITE, Part, TensorInfo, get_model
from src.versions import versions

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Exported:
    """A cell with inputs to try it on, each (B, …), and what it makes of them, all by the name of their TensorInfo."""

    cell: nn.Cell
    facts: Mapping[str, object]  # what the .json says of the weights
    described: Sequence[TensorInfo]  # inputs and outputs
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]
    suffix: str = ""  # behind the name of the file


def try_network(network: nn.Cell, info: NetworkInfo, batch_size: int, with_parts: bool = False) -> list[Exported]:
    """What export.py writes: the cell that completes pictures, then `with_parts` the networks within it."""
    model = get_model(info.model)
    arrays = example_inputs(info, max(batch_size, len(model.example_holes)))
    whole = Part("", network, info, model.inputs, (COMPOSITE,), dict)
    parts = model.parts(network, info) if with_parts and model.parts else ()
    found = []
    for part in (whole, *parts):
        prepared = part.prepare(arrays)
        inputs = {tensor.name: prepared[tensor.name] for tensor in part.inputs}
        results = run_batches(part.cell, list(inputs.values()), batch_size)
        outputs = {tensor.name: array for tensor, array in zip(part.outputs, results, strict=True)}
        described = (*part.inputs, *part.outputs)
        found.append(Exported(part.cell, part.info.facts(), described, inputs, outputs, part.suffix))
        arrays |= outputs
    return found


def example_inputs(info: NetworkInfo, count: int) -> dict[str, np.ndarray]:
    """Pictures of random squares with drawn holes, prepared as the network wants them."""
    model = get_model(info.model)
    names, holes = [tensor.name for tensor in model.inputs], model.example_holes
    rng, side = np.random.default_rng(0), info.image_size // 16
    samples = []
    for i in range(count):
        picture = np.kron(rng.integers(0, 256, (16, 16, 3)), np.ones((side, side, 1))).astype(np.uint8)
        low, high = holes[i % len(holes)]
        if low == high:
            mask = np.full((1, info.image_size, info.image_size), 1 - low, np.float32)
        else:
            mask = draw_mask(rng, info.image_size, low, high)
        sample = {"image": normalise(picture), "mask": mask}
        if "edge" in names:
            sample["edge"], sample["gray"] = edge_and_gray(picture, info.edge_mode, info.sigma)
        samples.append(sample)
    return {name: np.stack([sample[name] for sample in samples]) for name in names}


def export_mindir(exported: Exported, batch_size: int, path: Path) -> None:
    """Write `path` (.mindir) for batches of this size, and the .json beside it."""
    batch = [Tensor(array[:batch_size]) for array in exported.inputs.values()]
    ms.export(exported.cell, *batch, file_name=str(path), file_format="MINDIR")
    path.chmod(0o644)  # MindSpore leaves it to its owner alone

    known = {tensor.name: tensor for tensor in exported.described}

    def described(arrays: Mapping[str, np.ndarray]) -> list[dict]:
        return [
            {
                "name": name,
                "shape": (batch_size, *array.shape[1:]),
                "dtype": str(array.dtype),
                "range": known[name].range,
                "meaning": known[name].meaning,
            }
            for name, array in arrays.items()
        ]

    facts = {
        **exported.facts,
        "batch_size": batch_size,
        "inputs": described(exported.inputs),
        "outputs": described(exported.outputs),
        "mask_files": "white is the hole (--mask_polarity white_hole)",
        "versions": versions(),
        "sha256": sha256(path),
    }
    path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def largest_difference(path: Path, exported: Exported, batch_size: int, target: str, device_id: int) -> float:
    """Run an exported file in a fresh process, and compare what it makes of the inputs."""
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder, "inputs.npz"), Path(folder, "outputs.npz")
        np.savez(inputs, **exported.inputs)
        words = [path.resolve(), inputs, outputs, target, device_id, batch_size]
        subprocess.run([sys.executable, "-m", "src.export.mindir", *map(str, words)], cwd=ROOT, check=True)
        found = np.load(outputs)
        pairs = [(found[f"arr_{i}"], array) for i, array in enumerate(exported.outputs.values())]
        return float(np.max([np.abs(a - b).max() for a, b in pairs]))


def main(path: str, inputs: str, outputs: str, target: str, device_id: str, batch_size: str) -> None:
    ms.set_device(target, int(device_id))
    network = nn.GraphCell(ms.load(path))
    np.savez(outputs, *run_batches(network, list(np.load(inputs).values()), int(batch_size)))


if __name__ == "__main__":
    main(*sys.argv[1:])
