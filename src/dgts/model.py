"""DGTS, as the rest of the program sees it: its generator, with the upsampler that enlarges what it makes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from mindspore import Tensor, nn

from src.checkpoint import filled, network_file, read_network
from src.dgts.convert import from_official, to_official
from src.dgts.generator import Generator
from src.dgts.inpainting import Inpainting
from src.dgts.upsampler.fused import fuse
from src.dgts.upsampler.network import masked_input
from src.errors import InputError
from src.models import Model, Part, get_model, read_inpainting
from src.network_info import IMAGE, MASK, NetworkInfo, TensorInfo

MASKED = TensorInfo("masked", (-1, 1), "image where mask is 1, else 1; as the fourth channel 1 - mask")
LOW = TensorInfo("low", (-1, 1), "the completed picture at an eighth of the size, out of the range here and there")
ORDER = TensorInfo("order", None, "numbers of the patches filled one after the other, row by row from 0; -1 after them")
OUTPUT = TensorInfo("output", (-1, 1), "the picture, to be taken where mask is 0")


def build(path: Path, arrays: Mapping[str, np.ndarray], info: NetworkInfo, upsampler_path: str = "") -> nn.Cell:
    """upsampler_path: the checkpoint whose upsampler follows the generator; '' is the one beside it."""
    generator = build_generator(path, arrays, info)
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
    upsampler = fuse(filled(file, arrays, lambda: get_model("upsampler").network(found)))
    return Inpainting(generator, upsampler, info.image_size)


def network(info: NetworkInfo) -> nn.Cell:
    return Generator(info.width, info.image_size, info.matching_lambda, info.fill_order, info.sequential_steps)


def build_generator(path: Path, arrays: Mapping[str, np.ndarray], info: NetworkInfo) -> nn.Cell:
    return filled(path, arrays, lambda: network(info))


def load_generator(path: str | Path) -> tuple[nn.Cell, NetworkInfo]:
    """The generator of a checkpoint, as it is: (image, mask) -> small picture, order. Raises InputError."""
    path, arrays, info = read_inpainting(path, {"model": "dgts"})
    return build_generator(path, arrays, info), info


def parts(inpainting: Inpainting, info: NetworkInfo) -> tuple[Part, ...]:
    """Generator and upsampler."""

    def prepare(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        masked = masked_input(Tensor(arrays["image"]), Tensor(arrays["mask"])).asnumpy()
        return {"masked": masked, "low": arrays["low"]}

    low_resolution = NetworkInfo("dgts", "low_resolution", info.settings, info.iteration)
    upsampler = get_model("upsampler").info("upsampler", image_size=info.image_size)
    return (
        Part("_generator", inpainting.low_resolution, low_resolution, (IMAGE, MASK), (LOW, ORDER), dict),
        Part("_upsampler", inpainting.upsampler, upsampler, (MASKED, LOW), (OUTPUT,), prepare),
    )


def training() -> type:
    from src.dgts.training import DGTSTraining

    return DGTSTraining


def benchmarks() -> tuple:
    from src.dgts.benchmark import ROWS

    return ROWS


DGTS = Model(
    "dgts",
    settings={
        "width": 1.0,
        "image_size": 256,
        "matching_lambda": 0.1,
        "fill_order": "known_pixels",
        "sequential_steps": 64,
    },
    architecture=("width", "matching_lambda"),
    free=("fill_order", "sequential_steps"),
    network=network,
    build=build,
    build_options=("upsampler_path",),
    inputs=(IMAGE, MASK),
    # What it computes depends on the mask, so all kinds are tried.
    example_holes=((0.2, 0.4), (0, 0), (1, 1), (0.02, 0.1), (0.6, 0.8)),
    parts=parts,
    training=training,
    benchmarks=benchmarks,
    converters={"official": from_official, "ours": to_official},
    convert_options={"official": ("matching_lambda",)},
)
