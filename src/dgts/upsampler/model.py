"""DGTS's upsampler, as the rest of the program sees it: a model that is trained and converted alone."""

from ...model import Model
from .network import Upsampler

UPSAMPLER = Model(
    "upsampler",
    settings={"width": 1.0, "image_size": 256},
    architecture=("width",),
    network=lambda info: Upsampler(info.width),
    training=f"{__package__}.training:UpsamplerTraining",
)
