"""Network files: weights with the facts that using them right depends on.

Beside training/ because inference, export and conversion read and write them too.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn

from src.errors import InputError

INFO = "inpainting_info"  # the entry of a .ckpt file that holds a NetworkInfo as JSON
LAST = "last"  # the file in checkpoints/ that names the newest folder


# What the files of a model say beside its name: options that using its weights right depends on, and a record of its
# training. Models that only serve in training, such as vgg16, say nothing more.
FACTS: Mapping[str, tuple[str, ...]] = {
    "ctsdg": ("width", "image_size", "align_corners", "edge_mode", "sigma", "iteration", "batches_tracked"),
    "dgts": ("width", "image_size", "matching_lambda", "fill_order", "sequential_steps", "iteration"),
    "upsampler": ("width", "image_size", "iteration", "batches_tracked"),
}
RECORD = ("iteration", "batches_tracked")


@dataclass(frozen=True)
class NetworkInfo:
    """What a network file says of itself. `edge_mode` and `sigma` tell which edges the network was trained on."""

    model: str  # "ctsdg", "dgts", "upsampler", "vgg16", …
    network: str  # "generator", "discriminator", …
    width: float = 1.0
    image_size: int = 256
    align_corners: bool = False
    edge_mode: str = "published"
    sigma: float = 2.0
    matching_lambda: float = 0.1
    fill_order: str = "known_pixels"
    sequential_steps: int = 64
    iteration: int = 0
    batches_tracked: int = 0  # training batches its batch norms have seen: PyTorch's num_batches_tracked

    def facts(self) -> dict[str, str | float | int | bool]:
        """What concerns this model, by name."""
        return {name: getattr(self, name) for name in ("model", "network", *FACTS.get(self.model, ()))}


def settings(model: str) -> tuple[str, ...]:
    """The options that the files of a model decide."""
    return tuple(name for name in FACTS.get(model, ()) if name not in RECORD)


def save_network(path: Path, values: dict[str, np.ndarray | Tensor] | nn.Cell, info: NetworkInfo) -> None:
    """Write one .ckpt file: parameters by name, and `info`. Raises OSError where it cannot be written."""
    if isinstance(values, nn.Cell):
        values = dict(values.parameters_and_names())
    # Tensors go as they are: a copy of all of them would be the peak of a training run's memory.
    entries = [{"name": name, "data": v if isinstance(v, Tensor) else Tensor(v)} for name, v in values.items()]
    with open(path, "wb"):  # an unwritable place is an OSError here; MindSpore would raise something of its own
        pass
    ms.save_checkpoint(entries, str(path), append_dict={INFO: json.dumps(info.facts())}, crc_check=True)
    path.chmod(0o644)  # MindSpore leaves it readable for its owner alone


def read_network(path: Path) -> tuple[dict[str, np.ndarray], NetworkInfo]:
    """Parameters by name and what the file says of itself. Raises InputError if it is damaged or not ours."""
    entries = read_ckpt(path)
    if INFO not in entries:
        raise InputError(f"{path} was not written by this project; convert.py makes checkpoints of other code's files")
    info = parse_info(str(entries.pop(INFO)), path)
    return {name: parameter.asnumpy() for name, parameter in entries.items()}, info


def parse_info(text: str, path: Path) -> NetworkInfo:
    """A NetworkInfo from JSON, whatever else the JSON holds. Raises InputError that names the file it came from."""
    try:
        values = json.loads(text)
        info = NetworkInfo(**{field.name: values[field.name] for field in fields(NetworkInfo) if field.name in values})
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: what it says of its network is not readable; use another one") from error
    for field in fields(info):
        value = getattr(info, field.name)
        if type(value) is not field.type and not (field.type is float and type(value) is int):
            raise InputError(f"{path}: its network's {field.name} is {value!r}, which cannot be; use another one")
    return info


def read_ckpt(path: Path) -> dict:
    """The entries of any MindSpore .ckpt file. Raises InputError if it is missing or damaged."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a checkpoint")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty; give a whole checkpoint")
    try:
        with quiet():
            return ms.load_checkpoint(str(path), crc_check=True)
    except Exception as error:  # ValueError, RuntimeError, protobuf's DecodeError …
        raise InputError(f"{path} is damaged or no MindSpore checkpoint; use another one") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what MindSpore's Python code logs off the screen: where it fails, our one line says more."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def load_network(path: Path, network: nn.Cell, expected: NetworkInfo) -> NetworkInfo:
    """Fill the network from its file, all parameters or none.

    Raises InputError if the file holds another model or network, or one of another width, say.
    """
    arrays, info = read_network(path)
    for name in ("model", "network", "width", "align_corners", "matching_lambda"):
        found, wanted = getattr(info, name), getattr(expected, name)
        if found != wanted:
            raise InputError(f"{path} holds {name} {found}, not {wanted}; give another checkpoint or --{name}")
    fill(dict(network.parameters_and_names()), arrays, path)
    return info


def fill(parameters: dict[str, Parameter], arrays: dict[str, np.ndarray], path: Path) -> None:
    """Set each parameter from the array of its name. Raises InputError, and sets none, if one does not fit."""
    wrong = [name for name, p in parameters.items() if name not in arrays or arrays[name].shape != tuple(p.shape)]
    if wrong:
        raise InputError(f"{path} does not fit: {len(wrong)} parameters differ or are missing, the first is {wrong[0]}")
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
