"""DGTS's upsampler, as the rest of the program sees it: a model that is trained and converted alone."""

from src.dgts.upsampler.convert import from_official, to_official
from src.dgts.upsampler.network import Upsampler
from src.models import Model


def training() -> type:
    from src.dgts.upsampler.training import UpsamplerTraining

    return UpsamplerTraining


def benchmarks() -> tuple:
    from src.dgts.benchmark import UPSAMPLER_ROWS

    return UPSAMPLER_ROWS


UPSAMPLER = Model(
    "upsampler",
    settings={"width": 1.0, "image_size": 256},
    architecture=("width",),
    network=lambda info: Upsampler(info.width),
    training=training,
    benchmarks=benchmarks,
    converters={"official": from_official, "ours": to_official},
)
