"""DGTS's upsampler, as the rest of the program sees it: a model that is trained and converted alone."""

from src.dgts.upsampler.network import Upsampler
from src.model import Model

UPSAMPLER = Model(
    "upsampler",
    settings={"width": 1.0, "image_size": 256},
    architecture=("width",),
    network=lambda info: Upsampler(info.width),
    training="src.dgts.upsampler.training:UpsamplerTraining",
)
