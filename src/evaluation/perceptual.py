"""The networks behind LPIPS and FID, from files that convert.py makes."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mindspore import nn

from ..checkpoint import read_network
from ..errors import InputError
from ..inference.batches import Network
from ..inference.mindspore_runtime import on_arrays
from ..network_info import NetworkInfo
from .inception import InceptionV3
from .lpips import ALEXNET, LPIPS, VGG16

TRUNKS = {"lpips": ALEXNET, "lpips_vgg": VGG16}

# By metric, which is also the model that a file says it holds: what it says, and how to make the cell.
CELLS: dict[str, tuple[NetworkInfo, Callable[[], nn.Cell]]] = {
    **{metric: (NetworkInfo(metric, trunk.name), partial(LPIPS, trunk)) for metric, trunk in TRUNKS.items()},
    "fid": (NetworkInfo("fid", "inception"), InceptionV3),
}


def load_networks(metrics: Sequence[str], folder: str) -> dict[str, Network]:
    """Those of `metrics` that need a network, each from folder/METRIC.ckpt.

    lpips, lpips_vgg: two arrays (B, 3, S, S) in [-1, 1] -> (B,); fid: one -> features (B, 2048). Raises InputError.
    """
    return {metric: on_arrays(_load(metric, folder)) for metric in metrics if metric in CELLS}


def _load(metric: str, folder: str) -> nn.Cell:
    path = Path(folder) / f"{metric}.ckpt"
    if not path.is_file():
        where = f"{path} does not exist" if folder else f"--metrics_path is missing, the folder of {path.name}"
        raise InputError(f"--metrics {metric}: {where}; docs/evaluation.md says how convert.py makes it")
    info, make = CELLS[metric]
    file = read_network(path)
    file.check((info.model, info.network), instead="another --metrics_path")
    return file.cell(lambda _: make())
