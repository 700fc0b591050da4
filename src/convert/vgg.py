"""VGG16 and VGG19, for the perceptual and style losses, from and to torchvision and the code that published them."""

from pathlib import Path

import numpy as np

from ..checkpoint import read_network, save_network
from ..losses.perceptual import VGG19_TAPS, VGG16Features, VGG19Features
from ..network_info import NetworkInfo
from .files import as_arrays, read_mindspore, read_torch, write_torch
from .names import MODELZOO, PYTORCH, pair_names, parameter_shapes, take

# Ours, torchvision, MindSpore model zoo.
VGG16_TABLE = (
    ("stages.0.0", "features.0", "enc_1.0"),
    ("stages.0.2", "features.2", "enc_1.2"),
    ("stages.1.0", "features.5", "enc_2.0"),
    ("stages.1.2", "features.7", "enc_2.2"),
    ("stages.2.0", "features.10", "enc_3.0"),
    ("stages.2.2", "features.12", "enc_3.2"),
    ("stages.2.4", "features.14", "enc_3.4"),
)

CAFFE = 2  # the column of the Caffe-style VGG19, whose files name layers after the paper
TORCHVISION_VGG19 = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)

# Ours, torchvision, Caffe-style.
VGG19_TABLE = tuple(
    (f"convs.{i}", f"features.{layer}", tap.replace("relu", "conv"))
    for i, (layer, tap) in enumerate(zip(TORCHVISION_VGG19, VGG19_TAPS, strict=True))
)

# What a whole torchvision file holds beyond the features: of VGG16 up to the third pool, of VGG19 all of them.
CLASSIFIER = ("classifier.0", "classifier.3", "classifier.6")
TORCHVISION_UNUSED = ("features.17", "features.19", "features.21", "features.24", "features.26", "features.28")
TORCHVISION_UNUSED += CLASSIFIER

VGG16_INFO = NetworkInfo("vgg16", "vgg16")
VGG19_INFO = NetworkInfo("vgg19", "vgg19")
# Another training of the same network, for images in BGR up to 255: not to be used in the other's place.
VGG19_CAFFE_INFO = NetworkInfo("vgg19", "vgg19_caffe")

# By the model that a file says it holds.
NETWORKS = {"vgg16": (VGG16Features, VGG16_TABLE), "vgg19": (lambda: VGG19Features(VGG19_TAPS), VGG19_TABLE)}


def vgg16_from_torchvision(path: Path, output: Path) -> str:
    """torchvision's VGG16, whole or its features -> one file."""
    _save(_read_torchvision(path, TORCHVISION_UNUSED), PYTORCH, path, output, VGG16_INFO)
    return "VGG16 up to its third pool"


def vgg16_from_modelzoo(path: Path, output: Path) -> str:
    """The model zoo's VGG16 -> one file."""
    _save(read_mindspore(path), MODELZOO, path, output, VGG16_INFO)
    return "VGG16 up to its third pool"


def vgg19_from_torchvision(path: Path, output: Path) -> str:
    """torchvision's VGG19, whole or its features -> one file."""
    _save(_read_torchvision(path, CLASSIFIER), PYTORCH, path, output, VGG19_INFO)
    return "torchvision's VGG19"


def vgg19_from_official(path: Path, output: Path) -> str:
    """The Caffe-style VGG19, as one published loss uses it -> one file."""
    _save(as_arrays(read_torch(path), str(path)), CAFFE, path, output, VGG19_CAFFE_INFO)
    return "the Caffe-style VGG19"


def vgg16_to_torchvision(path: Path, output: Path) -> str:
    """Our VGG16 -> its features in torchvision's layout."""
    _write(path, output, {VGG16_INFO: PYTORCH})
    return "VGG16 up to its third pool, as torchvision names it"


def vgg19_to_published(path: Path, output: Path) -> str:
    """Our VGG19 -> the layout it came in: torchvision's features, or the Caffe-style file's."""
    info = _write(path, output, {VGG19_INFO: PYTORCH, VGG19_CAFFE_INFO: CAFFE})
    return f"VGG19, as {'torchvision' if info == VGG19_INFO else 'the Caffe-style file'} names it"


def _read_torchvision(path: Path, unused_modules: tuple[str, ...]) -> dict[str, np.ndarray]:
    state = as_arrays(read_torch(path), str(path))
    unused = {f"{module}.{leaf}" for module in unused_modules for leaf in ("weight", "bias")}
    return {name: array for name, array in state.items() if name not in unused}


def _save(state: dict[str, np.ndarray], column: int, path: Path, output: Path, info: NetworkInfo) -> None:
    shapes, pairs = _layout(info, column)
    save_network(output, take(state, pairs, shapes, str(path)), info)


def _write(path: Path, output: Path, columns: dict[NetworkInfo, int]) -> NetworkInfo:
    """Write a file of ours in the layout of what it says it holds, and return that."""
    file = read_network(path)
    file.check(*((known.model, known.network) for known in columns))
    arrays, info = file.arrays, file.info
    shapes, pairs = _layout(info, columns[info])
    take(arrays, [(name, name) for name in shapes], shapes, str(path))
    write_torch({theirs: arrays[ours] for ours, theirs in pairs}, output)
    return info


def _layout(info: NetworkInfo, column: int) -> tuple[dict[str, tuple], list]:
    make, table = NETWORKS[info.model]
    shapes = parameter_shapes(make())
    return shapes, pair_names(table, column, shapes)
