"""Files of conversions: read without executing them, written whole or not at all."""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from mindspore import Parameter

from ..checkpoint import INFO, read_ckpt
from ..errors import InputError
from ..files import make_folder, staged

SAFETENSORS = re.compile(rb".{6}\0\0\{\s*[\"}]", re.DOTALL)  # the length of a JSON header, and its beginning


def import_torch():
    """PyTorch, an optional extra. Raises InputError that says how to get it."""
    try:
        import torch
    except ImportError:
        raise InputError("PyTorch's files need PyTorch: pip install -r requirements-convert.txt") from None
    return torch


def read_torch(path: Path) -> dict:
    """What torch.save wrote: a dict of tensors, numbers and further dicts. Nothing in the file is executed.

    Raises InputError if the file is missing, damaged, or holds anything else.
    """
    torch = import_torch()
    if not path.is_file():
        raise InputError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}; --input takes a file")
    with open(path, "rb") as file:
        if SAFETENSORS.match(file.read(16)):
            raise InputError(
                f"{path} is a safetensors file, which is not read here: "
                'torch.save(safetensors.torch.load_file("FILE"), "FILE.pth") makes one that is'
            )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of file formats that it will not read anyway
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # UnpicklingError, RuntimeError, EOFError, KeyError …
        if "Unsupported global" in str(error) or "Unsupported class" in str(error):
            reason = "holds Python objects besides tensors; reading them could run code, so it is refused"
        else:
            reason = "is damaged or no PyTorch file"
        raise InputError(f"{path} {reason}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, not a dict of tensors")
    return content


def as_arrays(state: dict, where: str) -> dict[str, np.ndarray]:
    """A state dict as NumPy arrays: floating-point numbers in float32, what wrappers put in front of names taken off.

    Those are DataParallel's `module.` and, at any depth, torch.compile's `_orig_mod.`.
    """
    torch = import_torch()
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{where} is not a dict of tensors")
    state, arrays = {str(name).replace("_orig_mod.", ""): tensor for name, tensor in state.items()}, {}
    wrapped = all(name.startswith("module.") for name in state)
    for name, tensor in state.items():
        tensor = tensor.detach().float() if tensor.is_floating_point() else tensor.detach()
        try:
            arrays[name.removeprefix("module.") if wrapped else name] = tensor.numpy()
        except (TypeError, RuntimeError):
            raise InputError(f"{where}: {name} is no ordinary tensor of numbers") from None
    return arrays


def write_torch(content: dict, path: Path) -> None:
    """Write what read_torch reads; arrays become tensors."""
    torch = import_torch()

    def as_tensors(value):
        if isinstance(value, dict):
            return {name: as_tensors(entry) for name, entry in value.items()}
        return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value

    torch.save(as_tensors(content), path)


def read_mindspore(path: Path) -> dict[str, np.ndarray]:
    """The arrays of another code's .ckpt file, floating-point numbers in float32."""
    entries = read_ckpt(path)
    if INFO in entries:
        raise InputError(f"{path} is a checkpoint of this project; --source ours converts those")
    arrays = {name: entry.asnumpy() for name, entry in entries.items() if isinstance(entry, Parameter)}
    return {name: a.astype(np.float32, copy=False) if a.dtype.kind == "f" else a for name, a in arrays.items()}


@contextmanager
def whole(output: Path, overwrite: bool) -> Iterator[Path]:
    """A path to write a file or a folder at; it becomes `output` when the block ends, and vanishes if it fails.

    Raises InputError if `output` exists; with `overwrite` its files are replaced, unless others would stay among them.
    """
    if output.exists() and not overwrite:
        raise InputError(f"{output} exists; --overwrite replaces it")
    make_folder(output.parent)
    with staged(output.parent) as folder:
        new = folder / output.name
        yield new
        if output.exists() and output.is_dir() != new.is_dir():
            raise InputError(f"{output} is a {'folder' if output.is_dir() else 'file'}; give another --output")
        if output.is_dir():
            others = sorted({path.name for path in output.iterdir()} - {path.name for path in new.iterdir()})
            if others:
                raise InputError(f"{output} holds {others[0]} as well, which would not fit; give another --output")
            for path in new.iterdir():
                os.replace(path, output / path.name)
            new.rmdir()
