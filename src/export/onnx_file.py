"""A network as one ONNX file, which runs where there is neither this project nor MindSpore.

MindSpore's own export to ONNX lacks primitives that the networks need, so the file is made from their MINDIR.
"""

import tempfile
from pathlib import Path

import onnx

from ..inference.onnx_runtimes import RUNTIMES
from . import mindir
from .mindir_to_onnx import translate
from .read_mindir import read_mindir
from .trial import Exported

# For the largest difference from the cell. The runtimes add up in other orders, and OpenVINO approximates exponentials:
# with weights that make activations large, 4e-4 was measured. Two levels of an 8-bit image lie 8e-3 apart.
TOLERANCE = 1e-3


def write(exported: Exported, batch_size: int, path: Path) -> None:
    """Write `path` (.onnx) for batches of this size.

    Raises InputError for a primitive that cannot be translated, onnx.checker.ValidationError for a faulty translation.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "network.mindir")
        mindir.write(exported, batch_size, source)
        names = [[tensor.name for tensor in tensors] for tensors in (exported.inputs, exported.outputs)]
        model = translate(read_mindir(source), *names)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def runtimes(target: str, device_id: int) -> dict[str, tuple]:
    """What runs such a file here, each with the words that src/export/run_file.py wants of it."""
    return {runtime: (runtime,) for runtime in RUNTIMES}
