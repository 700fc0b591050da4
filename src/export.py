"""A network as one MINDIR file, which runs without this project, and a JSON file that says how to use it.

`python -m src.export FILE.mindir INPUTS.npz OUTPUTS.npz TARGET DEVICE_ID` runs such a file: the fresh process in which
an exported file proves itself.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.checkpoint import NetworkInfo
from src.data.edges import edge_and_gray
from src.data.images import normalise
from src.data.masks import draw_mask
from src.dgts.upsampler import masked_input
from src.inference import INPUTS, load_mindir, run_batches, sha256
from src.versions import versions

ROOT = Path(__file__).parents[1]
TOLERANCE = 1e-4

# What someone who runs the file has to know of its inputs and outputs: range and meaning.
MEANING = {
    "image": ([-1, 1], "RGB, value / 127.5 - 1"),
    "mask": ([0, 1], "1 where the picture is known, 0 in the hole"),
    "edge": ([0, 1], "1 on the edges of the gray picture (Canny, Gaussian of sigma pixels), 0 elsewhere"),
    "gray": ([0, 1], "luminance of the picture (edge_mode clean), or of trunc(255 * image) modulo 256 (published)"),
    "composite": ([-1, 1], "image where mask is 1, the filling where it is 0"),
    "masked": ([-1, 1], "image where mask is 1, else 1; as the fourth channel 1 - mask"),
    "low": ([-1, 1], "the completed picture at an eighth of the size, out of the range here and there"),
    "order": (None, "numbers of the patches filled one after the other, row by row from 0; -1 after the last"),
    "output": ([-1, 1], "the picture, to be taken where mask is 0"),
}

# The least and the most that is hole in examples. What DGTS computes depends on the mask, so all kinds are tried.
HOLES = {"ctsdg": ((0.2, 0.4),), "dgts": ((0.2, 0.4), (0, 0), (1, 1), (0.02, 0.1), (0.6, 0.8))}


@dataclass(frozen=True)
class Exported:
    """A cell with inputs to try it on, each (B, …) and by name, and what it makes of them, by name."""

    network: nn.Cell
    facts: Mapping[str, object]  # what the .json says of the weights
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]


def try_network(network: nn.Cell, info: NetworkInfo, batch_size: int, parts: bool = False) -> list[Exported]:
    """What export.py writes: the cell that completes pictures, then with `parts` DGTS's generator and upsampler."""
    inputs = example_inputs(info, max(batch_size, len(HOLES[info.model])))

    def tried(cell: nn.Cell, facts: Mapping, inputs: Mapping, names: Sequence[str]) -> Exported:
        outputs = run_batches(cell, list(inputs.values()), batch_size)
        return Exported(cell, facts, inputs, dict(zip(names, outputs, strict=True)))

    found = [tried(network, info.facts(), inputs, ("composite",))]
    if parts:
        facts = replace(info, network="low_resolution").facts()
        found.append(tried(network.low_resolution, facts, inputs, ("low", "order")))
        masked = masked_input(*map(Tensor, inputs.values())).asnumpy()
        inputs = {"masked": masked, "low": found[-1].outputs["low"]}
        facts = {"model": "upsampler", "network": "upsampler", "image_size": info.image_size}
        found.append(tried(network.upsampler, facts, inputs, ("output",)))
    return found


def example_inputs(info: NetworkInfo, count: int) -> dict[str, np.ndarray]:
    """Pictures of random squares with drawn holes, prepared as the network wants them."""
    rng, side, holes = np.random.default_rng(0), info.image_size // 16, HOLES[info.model]
    samples = []
    for i in range(count):
        picture = np.kron(rng.integers(0, 256, (16, 16, 3)), np.ones((side, side, 1))).astype(np.uint8)
        edge, gray = edge_and_gray(picture, info.edge_mode, info.sigma)
        low, high = holes[i % len(holes)]
        if low == high:
            mask = np.full((1, info.image_size, info.image_size), 1 - low, np.float32)
        else:
            mask = draw_mask(rng, info.image_size, low, high)
        samples.append({"image": normalise(picture), "mask": mask, "edge": edge, "gray": gray})
    return {name: np.stack([sample[name] for sample in samples]) for name in INPUTS[info.model]}


def export_mindir(exported: Exported, batch_size: int, path: Path) -> None:
    """Write `path` (.mindir) for batches of this size, and the .json beside it."""
    batch = [Tensor(array[:batch_size]) for array in exported.inputs.values()]
    ms.export(exported.network, *batch, file_name=str(path), file_format="MINDIR")
    path.chmod(0o644)  # MindSpore leaves it to its owner alone

    def described(arrays: Mapping[str, np.ndarray]) -> list[dict]:
        return [
            {
                "name": name,
                "shape": (batch_size, *array.shape[1:]),
                "dtype": str(array.dtype),
                "range": MEANING[name][0],
                "meaning": MEANING[name][1],
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


def largest_difference(path: Path, exported: Exported, target: str, device_id: int) -> float:
    """Run an exported file in a fresh process, and compare what it makes of the inputs."""
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder, "inputs.npz"), Path(folder, "outputs.npz")
        np.savez(inputs, **exported.inputs)
        words = [path.resolve(), inputs, outputs, target, device_id]
        subprocess.run([sys.executable, "-m", "src.export", *map(str, words)], cwd=ROOT, check=True)
        found = np.load(outputs)
        pairs = [(found[f"arr_{i}"], array) for i, array in enumerate(exported.outputs.values())]
        return float(np.max([np.abs(a - b).max() for a, b in pairs]))


def main(path: str, inputs: str, outputs: str, target: str, device_id: str) -> None:
    ms.set_device(target, int(device_id))
    network, _, batch_size = load_mindir(Path(path), {})
    np.savez(outputs, *run_batches(network, list(np.load(inputs).values()), batch_size))


if __name__ == "__main__":
    main(*sys.argv[1:])
