"""CTSDG, as the rest of the program sees it."""

from mindspore import nn

from src.checkpoint import NetworkFile
from src.ctsdg.generator import Generator
from src.ctsdg.inpainting import Inpainting
from src.model import Model
from src.network_info import EDGE, GRAY, IMAGE, MASK, NetworkInfo


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
    training="src.ctsdg.training:CTSDGTraining",
    build=build,
    inputs=(IMAGE, MASK, EDGE, GRAY),
)
