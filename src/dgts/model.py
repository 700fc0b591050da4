"""DGTS, as the rest of the program sees it: its generator, with the upsampler that enlarges what it makes."""

from collections.abc import Mapping

import numpy as np
from mindspore import Tensor, nn

from ..checkpoint import NetworkFile, read_network
from ..errors import InputError
from ..model import ExportPart, Model
from ..network_info import IMAGE, MASK, NetworkInfo, TensorInfo
from .generator import Generator
from .inpainting import Inpainting
from .upsampler.fused import fuse
from .upsampler.model import UPSAMPLER
from .upsampler.network import masked_input

MASKED = TensorInfo("masked", (-1, 1), "image where mask is 1, else 1; as the fourth channel 1 - mask")
LOW = TensorInfo("low", (-1, 1), "the completed image at an eighth of the size, out of the range here and there")
ORDER = TensorInfo("order", None, "numbers of the patches filled one after the other, row by row from 0; -1 after them")
OUTPUT = TensorInfo("output", (-1, 1), "the image, to be taken where mask is 0")


def network(info: NetworkInfo) -> nn.Cell:
    return Generator(info.width, info.image_size, info.matching_lambda, info.fill_order, info.sequential_steps)


def build(generator: nn.Cell, file: NetworkFile, upsampler_path: str = "") -> nn.Cell:
    """upsampler_path: the checkpoint whose upsampler follows the generator; '' is the one beside it."""
    beside = file.path.with_name("upsampler.ckpt")
    if not upsampler_path and not beside.is_file():
        raise InputError(
            f"{file.path} makes small images, and there is no upsampler.ckpt beside it to enlarge them; copy one "
            "there, or give --upsampler_path CHECKPOINT"
        )
    upsampler = read_network(upsampler_path or beside, "upsampler")
    upsampler.check(("upsampler", "upsampler"))
    size, generators = upsampler.info.image_size, file.info.image_size
    if size != generators:
        raise InputError(
            f"{upsampler.path} has image_size {size}, while {file.path} has {generators}; they do not go together"
        )
    return Inpainting(generator, fuse(upsampler.cell(UPSAMPLER.network)), size)


def parts(inpainting: Inpainting, info: NetworkInfo) -> tuple[ExportPart, ...]:
    """Generator and upsampler."""

    def prepare(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        masked = masked_input(Tensor(arrays["image"]), Tensor(arrays["mask"])).asnumpy()
        return {"masked": masked, "low": arrays["low"]}

    low_resolution = NetworkInfo("dgts", "low_resolution", info.settings, info.iteration)
    upsampler = UPSAMPLER.info("upsampler", image_size=info.image_size)
    return (
        ExportPart("_generator", inpainting.low_resolution, low_resolution, (IMAGE, MASK), (LOW, ORDER), dict),
        ExportPart("_upsampler", inpainting.upsampler, upsampler, (MASKED, LOW), (OUTPUT,), prepare),
    )


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
    run_settings=("fill_order", "sequential_steps"),
    network=network,
    training=f"{__package__}.training:DGTSTraining",
    build=build,
    build_options=("upsampler_path",),
    inputs=(IMAGE, MASK),
    # What it computes depends on the mask, so all kinds are tried.
    example_holes=((0.2, 0.4), (0, 0), (1, 1), (0.02, 0.1), (0.6, 0.8)),
    parts=parts,
)
