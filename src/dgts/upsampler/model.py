"""DGTS's upsampler, as the rest of the program sees it: a model that is trained and converted alone."""

from src.dgts.upsampler.convert import from_official, to_official
from src.models import Model


def training() -> type:
    from src.dgts.upsampler.training import UpsamplerTraining

    return UpsamplerTraining


UPSAMPLER = Model(
    "upsampler",
    settings={"width": 1.0, "image_size": 256},
    architecture=("width",),
    training=training,
    converters={"official": from_official, "ours": to_official},
)
