"""CTSDG, as the rest of the program sees it."""

from mindspore import nn

from ..checkpoint import NetworkFile
from ..model import Model
from ..network_info import EDGE, GRAY, IMAGE, MASK, NetworkInfo
from .generator import Generator
from .inpainting import Inpainting


def network(info: NetworkInfo, generator: type[Generator] = Generator) -> nn.Cell:
    return generator(info.width, info.align_corners, info.seamless)


def build(generator: nn.Cell, file: NetworkFile) -> nn.Cell:
    return Inpainting(generator)


CTSDG = Model(
    "ctsdg",
    settings={
        "width": 1.0,
        "image_size": 256,
        "align_corners": False,
        "seamless": False,
        "edge_mode": "published",
        "sigma": 2.0,
    },
    architecture=("width", "align_corners"),
    network=network,
    training=f"{__package__}.training:CTSDGTraining",
    build=build,
    inputs=(IMAGE, MASK, EDGE, GRAY),
)
