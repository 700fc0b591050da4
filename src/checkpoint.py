"""Network files: weights with the facts that using them right depends on.

Beside training/ because inference, export and conversion read and write them too.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn
from mindspore.nn.utils import no_init_parameters

from .errors import InputError
from .models import get_model, model_names
from .network_info import RECORD, NetworkInfo, Setting, check_settings

INFO = "inpainting_info"  # the entry of a .ckpt file that holds a NetworkInfo as JSON
LAST = "last"  # the file in checkpoints/ that names the newest folder


class NetworkFile(NamedTuple):
    """What a network's file holds: its parameters by name, and what it says of itself."""

    arrays: dict[str, np.ndarray]
    info: NetworkInfo
    path: Path

    def check(self, *networks: tuple[str, str], instead: str = "another checkpoint") -> None:
        """Raises InputError unless the file holds one of these networks, each a model's name and the network's."""
        if (self.info.model, self.info.network) not in networks:
            wanted = " or ".join(map(" ".join, networks))
            raise InputError(f"{self.path} holds {self.info.model} {self.info.network}, not {wanted}; give {instead}")

    def cell(self, make: Callable[[NetworkInfo], nn.Cell]) -> nn.Cell:
        """The network that `make` gives for the file's info, with the file's weights.

        Raises InputError if they do not fit.
        """
        with no_init_parameters():  # drawing random weights would take longer than reading the right ones
            network = make(self.info)
        parameters = dict(network.parameters_and_names())
        more = self.arrays.keys() - parameters.keys()
        if more:
            lacks = f"the network lacks {len(more)} of its parameters, one is {min(more)}"
            raise InputError(f"{self.path} does not fit: {lacks}")
        fill(parameters, self.arrays, self.path)
        return network


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


def read_network(path: str | Path, network: str = "") -> NetworkFile:
    """The file of a network, or with `network` that network's file where `path` may be a folder, see network_file.

    Raises InputError if it is damaged or not ours, or holds numbers that are not finite.
    """
    path = network_file(path, network) if network else Path(path)
    entries = read_ckpt(path)
    if INFO not in entries:
        raise InputError(f"{path} was not written by this project; convert.py makes checkpoints of other code's files")
    info = parse_info(str(entries.pop(INFO)), path)
    arrays = {name: parameter.asnumpy() for name, parameter in entries.items()}
    if wrong := not_finite(arrays):
        raise InputError(f"{path} holds numbers that are not finite, the first in {wrong[0]}; use another checkpoint")
    return NetworkFile(arrays, info, path)


def not_finite(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Names of arrays with infinite numbers or NaN."""
    return [name for name, array in arrays.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]


def read_generator(path: str | Path, chosen: Mapping[str, Setting]) -> NetworkFile:
    """The file of the network that fills holes, with what the user chose.

    path: as network_file takes it
    chosen: options that the user gave. The file has to agree with settings among them; those that only say how to run
    the network replace the file's. Raises InputError.
    """
    file = read_network(path, "generator")
    name, network = file.info.model, file.info.network
    if name not in model_names() or get_model(name).build is None or network != "generator":
        raise InputError(f"{file.path} holds {name}'s {network}, which fills no holes; give a generator.ckpt")
    run_settings = get_model(name).run_settings
    check_settings(file.path, file.info, {key: value for key, value in chosen.items() if key not in run_settings})
    to_run = {key: value for key, value in chosen.items() if key in run_settings}
    return file._replace(info=file.info.with_settings(**to_run))


def parse_info(text: str, path: Path) -> NetworkInfo:
    """A NetworkInfo from JSON, whatever else the JSON holds. Raises InputError that names the file it came from."""
    try:
        values = dict(json.loads(text))
        name = values["model"]
        values["network"]  # has no usual value
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: what it says of its network is not readable; use another one") from error
    usual = get_model(name).settings if name in model_names() else {}  # networks that losses use have no settings
    facts = {name: value for name, value in values.items() if name in usual or name in RECORD}
    try:
        return NetworkInfo.of({**usual, **facts}, {name: type(value) for name, value in usual.items()})
    except ValueError as error:
        raise InputError(f"{path}: {error}; use another one") from error


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


def load_network(
    path: str | Path, network: nn.Cell, expected: NetworkInfo, settings: Sequence[str] = ()
) -> NetworkInfo:
    """Fill the network from its file, or from its file in a folder: all parameters or none.

    Raises InputError if the file holds another model or network, or one with another value of `settings`.
    """
    arrays, info, path = read_network(path, expected.network)
    for name in ("model", "network", *settings):
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
