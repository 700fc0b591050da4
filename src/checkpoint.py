"""Network files: weights with the facts that using them right depends on.

Beside training/ because inference, export and conversion read and write them too.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.errors import InputError

INFO = "inpainting_info"  # the entry of a .ckpt file that holds a NetworkInfo as JSON
LAST = "last"  # the file in checkpoints/ that names the newest folder


@dataclass(frozen=True)
class NetworkInfo:
    """What a network file says of itself. `edge_mode` and `sigma` tell which edges the network was trained on."""

    model: str  # "ctsdg", "vgg16"
    network: str  # "generator", "discriminator", …
    width: float = 1.0
    image_size: int = 256
    align_corners: bool = False
    edge_mode: str = "published"
    sigma: float = 2.0
    iteration: int = 0
    batches_tracked: int = 0  # training batches its batch norms have seen: PyTorch's num_batches_tracked


def save_network(path: Path, arrays: dict[str, np.ndarray] | nn.Cell, info: NetworkInfo) -> None:
    """Write one .ckpt file: parameters by name, and `info`. Raises OSError where it cannot be written."""
    if isinstance(arrays, nn.Cell):
        arrays = {name: parameter.asnumpy() for name, parameter in arrays.parameters_and_names()}
    entries = [{"name": name, "data": Tensor(array)} for name, array in arrays.items()]
    with open(path, "wb"):  # an unwritable place is an OSError here; MindSpore would raise something of its own
        pass
    ms.save_checkpoint(entries, str(path), append_dict={INFO: json.dumps(asdict(info))}, crc_check=True)


def read_network(path: Path) -> tuple[dict[str, np.ndarray], NetworkInfo]:
    """Parameters by name and what the file says of itself. Raises InputError if it is damaged or not of this project."""
    entries = read_ckpt(path)
    if INFO not in entries:
        raise InputError(f"{path} was not written by this project; convert.py makes checkpoints of other code's files")
    known = {field.name for field in fields(NetworkInfo)}
    values = json.loads(str(entries.pop(INFO)))
    info = NetworkInfo(**{name: value for name, value in values.items() if name in known})
    return {name: parameter.asnumpy() for name, parameter in entries.items()}, info


def read_ckpt(path: Path) -> dict:
    """The entries of any MindSpore .ckpt file. Raises InputError if it is missing or damaged."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a checkpoint")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty; give a whole checkpoint")
    try:
        return ms.load_checkpoint(str(path), crc_check=True)
    except Exception as error:  # ValueError, RuntimeError, protobuf's DecodeError …
        raise InputError(f"{path} is damaged or no MindSpore checkpoint; use another one") from error


def load_network(path: Path, network: nn.Cell, expected: NetworkInfo) -> NetworkInfo:
    """Fill the network from its file, all parameters or none.

    Raises InputError if the file holds another model or network, or one of another width.
    """
    arrays, info = read_network(path)
    for name in ("model", "network", "width", "align_corners"):
        found, wanted = getattr(info, name), getattr(expected, name)
        if found != wanted:
            raise InputError(f"{path} holds {name} {found}, not {wanted}; give another checkpoint or --{name}")
    fill(network, arrays, path)
    return info


def fill(network: nn.Cell, arrays: dict[str, np.ndarray], path: Path) -> None:
    """Set every parameter from the array of its name. Raises InputError, the network unchanged, if one does not fit."""
    parameters = dict(network.parameters_and_names())
    wrong = [name for name, p in parameters.items() if name not in arrays or arrays[name].shape != tuple(p.shape)]
    if wrong:
        raise InputError(f"{path} does not fit the network: {wrong[0]} and {len(wrong) - 1} more differ or are missing")
    for name, parameter in parameters.items():
        parameter.set_data(Tensor(arrays[name], parameter.dtype))


def network_file(path: str | Path, network: str) -> Path:
    """The file of one network, given that file, its folder checkpoints/NNNNNNN, or checkpoints/last.

    Raises InputError if there is none.
    """
    path = Path(path)
    if path.name == LAST and path.is_file():
        path = path.parent / path.read_text(encoding="utf-8").strip()
    if path.is_dir():
        path = path / f"{network}.ckpt"
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a checkpoint folder (checkpoints/NNNNNNN) or one of its files")
    return path
