"""A network as one MINDIR file, which runs without this project, and a JSON file that says how to use it.

`python -m src.export FILE.mindir INPUTS.npz OUTPUT.npy TARGET DEVICE_ID` runs such a file: the fresh process in which
an exported file proves itself.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.checkpoint import NetworkInfo
from src.data.edges import edge_and_gray
from src.data.images import normalise
from src.data.masks import draw_mask
from src.inference import INPUTS, Inpainter, sha256
from src.versions import versions

ROOT = Path(__file__).parents[1]
TOLERANCE = 1e-4

# What someone who runs the file has to know of its inputs: range and meaning.
MEANING = {
    "image": ([-1, 1], "RGB, value / 127.5 - 1"),
    "mask": ([0, 1], "1 where the picture is known, 0 in the hole"),
    "edge": ([0, 1], "1 on the edges of the gray picture (Canny, Gaussian of sigma pixels), 0 elsewhere"),
    "gray": ([0, 1], "luminance of the picture (edge_mode clean), or of trunc(255 * image) modulo 256 (published)"),
}


def example_inputs(info: NetworkInfo, batch_size: int) -> dict[str, np.ndarray]:
    """Pictures of random squares with drawn holes, prepared as the network wants them."""
    rng, side = np.random.default_rng(0), info.image_size // 16
    samples = []
    for _ in range(batch_size):
        picture = np.kron(rng.integers(0, 256, (16, 16, 3)), np.ones((side, side, 1))).astype(np.uint8)
        edge, gray = edge_and_gray(picture, info.edge_mode, info.sigma)
        mask = draw_mask(rng, info.image_size, 0.2, 0.4)
        samples.append({"image": normalise(picture), "mask": mask, "edge": edge, "gray": gray})
    return {name: np.stack([sample[name] for sample in samples]) for name in INPUTS[info.model]}


def export_mindir(network: nn.Cell, info: NetworkInfo, inputs: Mapping[str, np.ndarray], path: Path) -> None:
    """Write `path` (.mindir) for inputs of these shapes, and the .json beside it."""
    ms.export(network, *map(Tensor, inputs.values()), file_name=str(path), file_format="MINDIR")
    path.chmod(0o644)  # MindSpore leaves it to its owner alone
    facts = {
        **asdict(info),
        "batch_size": len(inputs["image"]),
        "inputs": [
            {"name": name, "shape": array.shape, "dtype": str(array.dtype), "range": range_, "meaning": meaning}
            for name, array in inputs.items()
            for range_, meaning in [MEANING[name]]
        ],
        "output": {
            "shape": inputs["image"].shape,
            "dtype": "float32",
            "range": [-1, 1],
            "meaning": "image where mask is 1, the filling where it is 0",
        },
        "mask_files": "white is the hole (--mask_polarity white_hole)",
        "versions": versions(),
        "sha256": sha256(path),
    }
    path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def largest_difference(
    path: Path, inputs: Mapping[str, np.ndarray], expected: np.ndarray, target: str, device_id: int
) -> float:
    """Run an exported file in a fresh process, and compare what it makes of the inputs."""
    with tempfile.TemporaryDirectory() as folder:
        arrays, output = Path(folder, "inputs.npz"), Path(folder, "output.npy")
        np.savez(arrays, **inputs)
        words = [path.resolve(), arrays, output, target, device_id]
        subprocess.run([sys.executable, "-m", "src.export", *map(str, words)], cwd=ROOT, check=True)
        return float(np.abs(np.load(output) - expected).max())


def main(path: str, inputs: str, output: str, target: str, device_id: str) -> None:
    ms.set_device(target, int(device_id))
    np.save(output, Inpainter.load(path).complete(**np.load(inputs)))


if __name__ == "__main__":
    main(*sys.argv[1:])
