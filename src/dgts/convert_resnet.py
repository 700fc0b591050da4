"""ResNet-50, the backbone of DGTS, from and to torchvision."""

from pathlib import Path

from ..checkpoint import read_network, save_network
from ..convert.files import as_arrays, read_torch, write_torch
from ..convert.names import PYTORCH, pair_names, parameter_shapes, take
from ..network_info import NetworkInfo
from .resnet import STAGES, ResNet50

# What a torchvision file holds beyond the features: its classifier, and counters that old files lack.
UNUSED = ("fc.weight", "fc.bias")
COUNTER = "num_batches_tracked"


def _block(ours: str, theirs: str, first: bool) -> list:
    rows = []
    for i in (1, 2, 3):
        rows += [(f"{ours}.conv{i}", f"{theirs}.conv{i}"), (f"{ours}.norm{i}", f"{theirs}.bn{i}")]
    if first:
        rows += [(f"{ours}.shortcut.{i}", f"{theirs}.downsample.{i}") for i in range(2)]
    return rows


def resnet_table(ours: str = "", theirs: str = "") -> tuple:
    """Our names and torchvision's, each behind a prefix."""
    rows = [(f"{ours}conv1", f"{theirs}conv1"), (f"{ours}norm1", f"{theirs}bn1")]
    for i, (blocks, *_) in enumerate(STAGES):
        for j in range(blocks):
            rows += _block(f"{ours}stages.{i}.{j}", f"{theirs}layer{i + 1}.{j}", first=j == 0)
    return tuple(rows)


def layout() -> tuple[dict[str, tuple], list]:
    """Parameters with their shapes, and the pairs of our names and torchvision's."""
    shapes = parameter_shapes(ResNet50())
    # Frozen batch norms count nothing.
    return shapes, [(ours, theirs) for ours, theirs in pair_names(resnet_table(), PYTORCH, shapes) if ours]


def from_torchvision(path: Path, output: Path) -> str:
    """torchvision's ResNet-50, with or without its classifier -> one file."""
    state = as_arrays(read_torch(path), str(path))
    state = {name: a for name, a in state.items() if name not in UNUSED and not name.endswith(COUNTER)}
    shapes, pairs = layout()
    save_network(output, take(state, pairs, shapes, str(path)), NetworkInfo("resnet50", "resnet50"))
    return "ResNet-50 without its classifier"


def to_torchvision(path: Path, output: Path) -> str:
    """A file of ours -> torchvision's layout, without the classifier."""
    file = read_network(path, "resnet50")
    file.check(("resnet50", "resnet50"))
    shapes, pairs = layout()
    take(file.arrays, [(name, name) for name in shapes], shapes, str(file.path))
    write_torch({theirs: file.arrays[ours] for ours, theirs in pairs}, output)
    return "ResNet-50 without its classifier"
