"""Networks that MindSpore runs: cells, and exported MINDIR files."""

import threading
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from .batches import Network


def on_arrays(cell: nn.Cell) -> Network:
    """A cell of tensors as a function of arrays, which several threads may call: MindSpore runs one at a time."""
    lock = threading.Lock()

    def network(*arrays: np.ndarray) -> list[np.ndarray]:
        with lock:
            outputs = cell(*map(Tensor, arrays))
            return [output.asnumpy() for output in (outputs if isinstance(outputs, tuple) else (outputs,))]

    return network


def compiles() -> bool:
    """Are cells compiled, for one shape of their inputs each?"""
    return ms.get_context("mode") == ms.GRAPH_MODE


def load_mindir(path: Path) -> Network:
    return on_arrays(nn.GraphCell(ms.load(str(path))))
