"""Networks that fill holes, from checkpoints: what an exported package lacks."""

from collections.abc import Mapping
from pathlib import Path

from mindspore import nn

from ..checkpoint import read_generator
from ..models import get_model
from ..network_info import NetworkInfo, Setting
from .batches import RunnableNetwork
from .mindspore_runtime import compiles, on_arrays


def load_inpainting(path: str | Path, chosen: Mapping[str, Setting]) -> tuple[nn.Cell, NetworkInfo]:
    """The cell that completes images with a checkpoint's weights, and what they say of themselves.

    chosen: options that the user gave, see read_generator. Raises InputError.
    """
    file = read_generator(path, chosen)
    model = get_model(file.info.model)
    assert model.build is not None  # read_generator refuses models without
    options = {name: chosen[name] for name in model.build_options if name in chosen}
    return model.build(file.cell(model.network), file, **options), file.info


def runnable(cell: nn.Cell, info: NetworkInfo, batch_size: int = 1) -> RunnableNetwork:
    """A cell that completes images, as load_inpainting gives it."""
    inputs = tuple(tensor.name for tensor in get_model(info.model).inputs)
    return RunnableNetwork(on_arrays(cell), info, batch_size, inputs, fixed=compiles())
