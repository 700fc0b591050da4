"""What is exported, and the trial that its file has to pass: to compute, in a fresh process, what the cell computes."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mindspore import nn

from ..data.edges import edge_and_gray
from ..data.images import normalise
from ..data.masks import draw_mask
from ..inference.batches import run_batches
from ..inference.mindspore_runtime import on_arrays
from ..model import ExportPart
from ..models import get_model
from ..network_info import COMPOSITE, NetworkInfo, TensorInfo

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Exported:
    """A cell with inputs to try it on, each (B, …), and what it makes of them."""

    cell: nn.Cell
    info: NetworkInfo  # what the .json says of the weights
    inputs: Mapping[TensorInfo, np.ndarray]
    outputs: Mapping[TensorInfo, np.ndarray]
    suffix: str = ""  # behind the name of the file


def try_network(network: nn.Cell, info: NetworkInfo, batch_size: int, with_parts: bool = False) -> list[Exported]:
    """What export.py writes: the cell that completes images, then `with_parts` the networks within it."""
    model = get_model(info.model)
    arrays = example_inputs(info, max(batch_size, len(model.example_holes)))
    whole = ExportPart("", network, info, model.inputs, (COMPOSITE,), dict)
    parts = model.parts(network, info) if with_parts and model.parts else ()
    found = []
    for part in (whole, *parts):
        prepared = part.prepare(arrays)
        inputs = {tensor: prepared[tensor.name] for tensor in part.inputs}
        results = run_batches(on_arrays(part.cell), list(inputs.values()), batch_size)
        outputs = dict(zip(part.outputs, results, strict=True))
        found.append(Exported(part.cell, part.info, inputs, outputs, part.suffix))
        arrays |= {tensor.name: array for tensor, array in outputs.items()}
    return found


def example_inputs(info: NetworkInfo, count: int) -> dict[str, np.ndarray]:
    """Images of random squares with drawn holes, prepared as the network wants them."""
    model = get_model(info.model)
    names, holes = [tensor.name for tensor in model.inputs], model.example_holes
    rng, side = np.random.default_rng(0), info.image_size // 16
    samples = []
    for i in range(count):
        image = np.kron(rng.integers(0, 256, (16, 16, 3)), np.ones((side, side, 1))).astype(np.uint8)
        low, high = holes[i % len(holes)]
        if low == high:
            mask = np.full((1, info.image_size, info.image_size), 1 - low, np.float32)
        else:
            mask = draw_mask(rng, info.image_size, low, high)
        sample = {"image": normalise(image), "mask": mask}
        if "edge" in names:
            sample["edge"], sample["gray"] = edge_and_gray(image, info.edge_mode, info.sigma)
        samples.append(sample)
    return {name: np.stack([sample[name] for sample in samples]) for name in names}


def largest_difference(path: Path, exported: Exported, batch_size: int, *how: object) -> float:
    """Run an exported file in a fresh process, and compare what it makes of the inputs.

    how: what src/export/run_file.py takes for a file of its kind
    """
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder, "inputs.npz"), Path(folder, "outputs.npz")
        np.savez(inputs, *exported.inputs.values())
        words = [path.resolve(), inputs, outputs, batch_size, *how]
        subprocess.run([sys.executable, "-m", f"{__package__}.run_file", *map(str, words)], cwd=ROOT, check=True)
        found = np.load(outputs)
        pairs = [(found[f"arr_{i}"], array) for i, array in enumerate(exported.outputs.values())]
        return float(np.max([np.abs(a - b).max() for a, b in pairs]))
