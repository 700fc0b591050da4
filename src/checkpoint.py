"""Network files: weights with the facts that using them right depends on.

Beside training/ because inference, export and conversion read and write them too.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn
from mindspore.nn.utils import no_init_parameters

from src.errors import InputError
from src.models import get_model, model_names
from src.network_info import RECORD, NetworkInfo

INFO = "inpainting_info"  # the entry of a .ckpt file that holds a NetworkInfo as JSON
LAST = "last"  # the file in checkpoints/ that names the newest folder


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
        values = dict(json.loads(text))
        name = values["model"]
        values["network"]  # has no usual value
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: what it says of its network is not readable; use another one") from error
    if name not in model_names():
        raise InputError(f"{path}: its network's model is {name!r}, which cannot be; use another one")
    usual = get_model(name).settings
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


def load_network(path: Path, network: nn.Cell, expected: NetworkInfo, settings: Sequence[str] = ()) -> NetworkInfo:
    """Fill the network from its file, all parameters or none.

    Raises InputError if the file holds another model or network, or one with another value of `settings`.
    """
    arrays, info = read_network(path)
    for name in ("model", "network", *settings):
        found, wanted = getattr(info, name), getattr(expected, name)
        if found != wanted:
            raise InputError(f"{path} holds {name} {found}, not {wanted}; give another checkpoint or --{name}")
    fill(dict(network.parameters_and_names()), arrays, path)
    return info


def filled(path: Path, arrays: Mapping[str, np.ndarray], make: Callable[[], nn.Cell]) -> nn.Cell:
    """A network with a file's weights. Raises InputError if they do not fit."""
    with no_init_parameters():  # drawing random weights would take longer than reading the right ones
        network = make()
    parameters = dict(network.parameters_and_names())
    more = arrays.keys() - parameters.keys()
    if more:
        raise InputError(f"{path} does not fit: the network lacks {len(more)} of its parameters, one is {min(more)}")
    fill(parameters, arrays, path)
    return network


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
