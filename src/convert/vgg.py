"""VGG16, for the perceptual and style losses, from torchvision and from the MindSpore model zoo's CTSDG."""

from pathlib import Path

from src.checkpoint import NetworkInfo, save_network
from src.convert.files import as_arrays, read_mindspore, read_torch
from src.convert.names import MODELZOO, PYTORCH, pair_names, parameter_shapes, take
from src.losses.perceptual import VGG16Features

# Ours, torchvision, MindSpore model zoo.
VGG16 = (
    ("stages.0.0", "features.0", "enc_1.0"),
    ("stages.0.2", "features.2", "enc_1.2"),
    ("stages.1.0", "features.5", "enc_2.0"),
    ("stages.1.2", "features.7", "enc_2.2"),
    ("stages.2.0", "features.10", "enc_3.0"),
    ("stages.2.2", "features.12", "enc_3.2"),
    ("stages.2.4", "features.14", "enc_3.4"),
)

# What a whole torchvision VGG16 holds beyond the third pool.
TORCHVISION_UNUSED = ("features.17", "features.19", "features.21", "features.24", "features.26", "features.28")
TORCHVISION_UNUSED += ("classifier.0", "classifier.3", "classifier.6")


def from_torchvision(path: Path, output: Path) -> str:
    """torchvision's VGG16, whole or its features -> one file."""
    state = as_arrays(read_torch(path), str(path))
    unused = {f"{module}.{leaf}" for module in TORCHVISION_UNUSED for leaf in ("weight", "bias")}
    return _save({name: array for name, array in state.items() if name not in unused}, PYTORCH, path, output)


def from_modelzoo(path: Path, output: Path) -> str:
    """The model zoo's VGG16 -> one file."""
    return _save(read_mindspore(path), MODELZOO, path, output)


def _save(source: dict, column: int, path: Path, output: Path) -> str:
    shapes = parameter_shapes(VGG16Features())
    arrays = take(source, pair_names(VGG16, column, shapes), shapes, str(path))
    save_network(output, arrays, NetworkInfo("vgg16", "vgg16"))
    return "VGG16 up to its third pool"
