"""A network as one MINDIR file, which runs without this project where there is MindSpore."""

from pathlib import Path

import mindspore as ms
from mindspore import Tensor

from .trial import Exported

TOLERANCE = 1e-4  # for the largest difference from the cell; measured: some 1e-6


def write(exported: Exported, batch_size: int, path: Path) -> None:
    """Write `path` (.mindir) for batches of this size."""
    batch = [Tensor(array[:batch_size]) for array in exported.inputs.values()]
    ms.export(exported.cell, *batch, file_name=str(path), file_format="MINDIR")
    path.chmod(0o644)  # MindSpore leaves it to its owner alone


def runtimes(target: str, device_id: int) -> dict[str, tuple]:
    """What runs such a file here, each with the words that src/export/run_file.py wants of it."""
    return {"MindSpore": (target, device_id)}
