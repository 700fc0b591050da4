"""The cells that complete pictures, from the files of their networks."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from mindspore import nn
from mindspore.nn.utils import no_init_parameters

from src import ctsdg
from src.checkpoint import FACTS, NetworkInfo, fill, network_file, read_network, settings
from src.ctsdg.inpainting import Inpainting as CTSDGInpainting
from src.dgts.fused import fuse
from src.dgts.generator import Generator as DGTSGenerator
from src.dgts.inpainting import Inpainting as DGTSInpainting
from src.dgts.upsampler import Upsampler
from src.errors import InputError

# What a network's file decides. Options of these names can only contradict it.
SETTINGS = ("model", *dict.fromkeys(name for model in FACTS for name in settings(model)))
# But these say how to run a network, not what it is: a checkpoint's weights serve with others too.
FREE = ("fill_order", "sequential_steps")


def load_checkpoint(
    path: str | Path, chosen: Mapping[str, object], upsampler_path: str = ""
) -> tuple[nn.Cell, NetworkInfo]:
    """The cell that completes pictures with a checkpoint's weights, and what they say of themselves.

    chosen: those of SETTINGS that the user gave, which the file has to agree with, or, if FREE, which it gives way to.
    upsampler_path: the checkpoint whose upsampler follows DGTS's generator; '' is the one beside it. Raises InputError.
    """
    path, arrays, info = read_generator(path, chosen)
    if info.model == "dgts":
        return build_dgts(path, arrays, info, upsampler_path), info
    return build_ctsdg(path, arrays, info), info


def read_generator(path: str | Path, chosen: Mapping[str, object]) -> tuple[Path, dict[str, np.ndarray], NetworkInfo]:
    """The file, its parameters and what it says, with what the user chose. Raises InputError."""
    path = network_file(path, "generator")
    arrays, info = read_network(path)
    if info.model not in ("ctsdg", "dgts") or info.network != "generator":
        raise InputError(f"{path} holds {info.model}'s {info.network}, which fills no holes; give a generator.ckpt")
    free = {name: value for name, value in chosen.items() if name in FREE and name in info.facts()}
    check_settings(path, info, {name: value for name, value in chosen.items() if name not in free})
    return path, arrays, replace(info, **free)


def check_settings(path: Path, info: NetworkInfo, chosen: Mapping[str, object]) -> None:
    """Raises InputError where the user asked for something else than the file holds."""
    facts = info.facts()
    for name, value in chosen.items():
        if name in facts and facts[name] != value:
            raise InputError(
                f"{path} has {name} {facts[name]}, not {value}: leave --{name} out, or give another checkpoint"
            )


def build_ctsdg(path: Path, arrays: Mapping[str, np.ndarray], info: NetworkInfo) -> nn.Cell:
    return CTSDGInpainting(_filled(path, arrays, lambda: ctsdg.Generator(info.width, info.align_corners)))


def build_dgts(path: Path, arrays: Mapping[str, np.ndarray], info: NetworkInfo, upsampler_path: str) -> nn.Cell:
    generator = build_dgts_generator(path, arrays, info)
    if upsampler_path:
        file = network_file(upsampler_path, "upsampler")
    else:
        file = path.with_name("upsampler.ckpt")
        if not file.is_file():
            raise InputError(
                f"{path} makes small pictures, and there is no upsampler.ckpt beside it to enlarge them; copy one "
                "there, or give --upsampler_path CHECKPOINT"
            )
    arrays, found = read_network(file)
    if (found.model, found.network) != ("upsampler", "upsampler"):
        raise InputError(f"{file} holds {found.model}'s {found.network}, not an upsampler; give another one")
    if found.image_size != info.image_size:
        raise InputError(
            f"{file} has image_size {found.image_size}, while {path} has {info.image_size}; they do not go together"
        )
    upsampler = fuse(_filled(file, arrays, lambda: Upsampler(found.width)))
    return DGTSInpainting(generator, upsampler, info.image_size)


def build_dgts_generator(path: Path, arrays: Mapping[str, np.ndarray], info: NetworkInfo) -> nn.Cell:
    return _filled(
        path,
        arrays,
        lambda: DGTSGenerator(
            info.width, info.image_size, info.matching_lambda, info.fill_order, info.sequential_steps
        ),
    )


def load_dgts_generator(path: str | Path) -> tuple[nn.Cell, NetworkInfo]:
    """DGTS's generator of a checkpoint, as it is: (image, mask) -> small picture, order. Raises InputError."""
    path, arrays, info = read_generator(path, {"model": "dgts"})
    return build_dgts_generator(path, arrays, info), info


def _filled(path: Path, arrays: Mapping[str, np.ndarray], make: Callable[[], nn.Cell]) -> nn.Cell:
    """A network with a file's weights. Raises InputError if they do not fit."""
    with no_init_parameters():  # drawing random weights would take longer than reading the right ones
        network = make()
    fill(dict(network.parameters_and_names()), arrays, path)
    return network
