"""A network that fills holes, from a file of any kind."""

from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError
from ..network_info import Setting
from .batches import RunnableNetwork
from .onnx_runtimes import load_onnx
from .sidecar import read_sidecar

BATCH_SIZE = 4  # windows that go through a checkpoint's network at once: twice as fast as one by one, on a CPU


def open_network(
    path: str | Path,
    chosen: Mapping[str, Setting] | None = None,
    batch_size: int = BATCH_SIZE,
    runtime: str | None = None,
    precision: str | None = None,
) -> RunnableNetwork:
    """path: a .onnx or .mindir file, which knows its batch size, or a checkpoint: folder, file, checkpoints/last

    chosen: options that the user gave, see read_generator; an exported file has decided all of them
    batch_size: windows that go through a checkpoint's network together
    runtime, precision: for .onnx files alone, see load_onnx

    Raises InputError.
    """
    path, chosen = Path(path), chosen or {}
    how = {name: value for name, value in (("runtime", runtime), ("precision", precision)) if value is not None}
    if path.suffix == ".onnx":
        sidecar = read_sidecar(path, chosen)
        return RunnableNetwork(load_onnx(path, **how), *sidecar)
    for name, value in how.items():
        raise InputError(f"--{name} {value} is for .onnx files; leave it out for {path}")
    if path.suffix == ".mindir":
        from .mindspore_runtime import load_mindir

        sidecar = read_sidecar(path, chosen)
        return RunnableNetwork(load_mindir(path), *sidecar)
    try:
        from .load import load_inpainting, runnable
    except ModuleNotFoundError as error:  # a package of export.py has no networks
        raise InputError(f"{path}: only .onnx and .mindir files run here") from error
    return runnable(*load_inpainting(path, chosen), batch_size)
