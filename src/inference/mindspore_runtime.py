"""Networks that MindSpore runs: cells, and exported MINDIR files."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.checkpoint import NetworkInfo, check_settings, parse_info
from src.errors import InputError


def run_batches(network: nn.Cell, arrays: Sequence[np.ndarray], batch_size: int) -> list[np.ndarray]:
    """Run a cell on any number of samples, `batch_size` at a time.

    arrays: its inputs, each (B, …) -> its outputs, each (B, …)
    """
    batches = []
    for first in range(0, len(arrays[0]), batch_size):
        batch = [array[first : first + batch_size] for array in arrays]
        # Every batch has the same shape, or a graph would be compiled again: copies of its last sample pad the last.
        missing = batch_size - len(batch[0])
        batch = [np.concatenate([array, *[array[-1:]] * missing]) for array in batch]
        outputs = network(*map(Tensor, batch))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        batches.append([output.asnumpy()[: batch_size - missing] for output in outputs])
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def load_mindir(path: Path, chosen: Mapping[str, object]) -> tuple[nn.Cell, NetworkInfo, int]:
    """The cell in a file of export.py, what is known of it, and its batch size. Raises InputError.

    chosen: what the user asked of it, which has to agree.

    Nothing in the file itself says how to prepare its inputs, so it needs the .json that was written with it.
    """
    sidecar = path.with_suffix(".json")
    if not path.is_file():
        raise InputError(f"{path} does not exist; export.py makes one from a checkpoint")
    if not sidecar.is_file():
        raise InputError(
            f"{path} has no {sidecar.name} beside it, which says how to use it; copy both, or export again"
        )
    try:
        text = sidecar.read_text(encoding="utf-8")
        facts = json.loads(text)
        checksum, batch_size = facts["sha256"], int(facts["batch_size"])
        if batch_size < 1:
            raise ValueError(f"batch_size {batch_size}")
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{sidecar} is damaged; export {path.name} again") from error
    info = parse_info(text, sidecar)
    check_settings(path, info, chosen)
    if sha256(path) != checksum:
        raise InputError(f"{path} is damaged, or not the file that {sidecar.name} was written for; export it again")
    return nn.GraphCell(ms.load(str(path))), info, batch_size


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
