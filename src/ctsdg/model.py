"""CTSDG, as the rest of the program sees it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from mindspore import nn

from src.checkpoint import filled
from src.ctsdg.convert import from_modelzoo, from_official, to_official
from src.ctsdg.generator import Generator
from src.ctsdg.inpainting import Inpainting
from src.models import Model
from src.network_info import EDGE, GRAY, IMAGE, MASK, NetworkInfo


def network(info: NetworkInfo) -> nn.Cell:
    return Generator(info.width, info.align_corners, info.seamless)


def build(path: Path, arrays: Mapping[str, np.ndarray], info: NetworkInfo) -> nn.Cell:
    return Inpainting(filled(path, arrays, lambda: network(info)))


def training() -> type:
    from src.ctsdg.training import CTSDGTraining

    return CTSDGTraining


def benchmarks() -> tuple:
    from src.ctsdg.benchmark import ROWS

    return ROWS


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
    build=build,
    inputs=(IMAGE, MASK, EDGE, GRAY),
    training=training,
    benchmarks=benchmarks,
    converters={"official": from_official, "modelzoo": from_modelzoo, "ours": to_official},
    convert_options={"official": ("seamless", "edge_mode", "image_size"), "ours": ("seamless",)},
    converts_to_folder=True,
)
