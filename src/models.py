"""The registry: one line for each model. What a model is, its own folder says, in model.py.

Importing this file imports no MindSpore, so that --help can list the models at once.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from src.errors import InputError
from src.network_info import NetworkInfo, TensorInfo, check_settings

if TYPE_CHECKING:
    import numpy as np
    from mindspore import nn

    from src.training.model_training import ModelTraining

# --model NAME: the module and the Model in it.
REGISTRY = {
    "ctsdg": "src.ctsdg.model:CTSDG",
    "dgts": "src.dgts.model:DGTS",
    "upsampler": "src.dgts.upsampler.model:UPSAMPLER",
    "vgg16": "src.convert.vgg:VGG16",
    "vgg19": "src.convert.vgg:VGG19",
    "resnet50": "src.dgts.convert_resnet:RESNET50",
    "lpips": "src.convert.perceptual:LPIPS",
    "lpips_vgg": "src.convert.perceptual:LPIPS_VGG",
    "fid": "src.convert.perceptual:FID",
}

Setting = str | float | int | bool


class Part(NamedTuple):
    """A network within the one that inpaints, which export.py can write as a file of its own."""

    suffix: str  # behind the name of --output_path
    cell: "nn.Cell"
    info: NetworkInfo
    inputs: Sequence[TensorInfo]
    outputs: Sequence[TensorInfo]
    # From the arrays there are, by name (the inputs of the whole, the outputs of earlier parts), those of this part.
    prepare: Callable[[Mapping[str, "np.ndarray"]], Mapping[str, "np.ndarray"]]


@dataclass(frozen=True)
class Model:
    """All that the rest of the program asks of a model. What is left empty, it cannot do.

    A file of the model's weights remembers `settings`: options, by name, here with the published network's values.
    """

    name: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    architecture: Sequence[str] = ()  # settings without which the weights do not fit, or mean nothing
    free: Sequence[str] = ()  # settings that only say how to run the network: its weights serve with others too

    # The network in the file of the weights, as the settings say, with initial weights; mindspore_hub_conf.py gives it.
    network: Callable[[NetworkInfo], "nn.Cell"] | None = None

    # Inpainting, by the network in generator.ckpt: `build` makes the cell, (B, …) inputs -> composite (B, 3, S, S).
    # It gets the file's path, its arrays and what it says, and those of `build_options` that were given.
    build: Callable[..., "nn.Cell"] | None = None
    build_options: Sequence[str] = ()
    inputs: Sequence[TensorInfo] = ()

    # Export: the part of example pictures that is hole, from and to; networks within the one that inpaints.
    example_holes: Sequence[tuple[float, float]] = ((0.2, 0.4),)
    parts: Callable[["nn.Cell", NetworkInfo], Sequence[Part]] | None = None

    training: Callable[[], type["ModelTraining"]] | None = None

    # For benchmarks/speed.py: rows of a name, a batch size, and a function (options, batch) -> a call that is timed.
    benchmarks: Callable[[], Sequence[tuple[str, int, Callable]]] | None = None

    # By --source: input, output -> a few words on what was converted. `convert_options` are what files of a source do
    # not say of themselves: options that their converter gets by name.
    converters: Mapping[str, Callable[..., str]] = field(default_factory=dict)
    convert_options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    converts_to_folder: bool = False  # --output is a checkpoint folder instead of one network's file

    def info(self, network: str, iteration: int = 0, batches_tracked: int = 0, **settings: Setting) -> NetworkInfo:
        """What a file of this model says; settings that are not given are the published network's."""
        return NetworkInfo(self.name, network, {**self.settings, **settings}, iteration, batches_tracked)


def model_names() -> tuple[str, ...]:
    return tuple(REGISTRY)


def get_model(name: str) -> Model:
    """Raises InputError if there is none of that name."""
    if name not in REGISTRY:
        raise InputError(f"there is no model {name}; choose one of {', '.join(REGISTRY)}")
    module, _, attribute = REGISTRY[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def all_models() -> list[Model]:
    return [get_model(name) for name in REGISTRY]


def load_inpainting(path: str | Path, chosen: Mapping[str, Setting]) -> tuple["nn.Cell", NetworkInfo]:
    """The cell that completes pictures with a checkpoint's weights, and what they say of themselves.

    chosen: options that the user gave. The file has to agree with settings among them, or, if a model calls them free,
    they replace the file's. Raises InputError.
    """
    path, arrays, info = read_inpainting(path, chosen)
    model = get_model(info.model)
    return model.build(
        path, arrays, info, **{name: chosen[name] for name in model.build_options if name in chosen}
    ), info


def read_inpainting(
    path: str | Path, chosen: Mapping[str, Setting]
) -> tuple[Path, dict[str, "np.ndarray"], NetworkInfo]:
    """The file of the network that fills holes, its parameters and what it says, with what the user chose."""
    from src.checkpoint import network_file, read_network

    path = network_file(path, "generator")
    arrays, info = read_network(path)
    model = get_model(info.model)
    if model.build is None or info.network != "generator":
        raise InputError(f"{path} holds {info.model}'s {info.network}, which fills no holes; give a generator.ckpt")
    free = {name: value for name, value in chosen.items() if name in model.free}
    check_settings(path, info, {name: value for name, value in chosen.items() if name not in free})
    return path, arrays, info.having(**free)
