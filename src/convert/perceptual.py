"""The networks of LPIPS and FID, from torchvision's and their authors' files."""

from functools import partial
from pathlib import Path

from ..checkpoint import save_network
from ..errors import InputError
from ..evaluation.inception import ConvNorm
from ..evaluation.perceptual import CELLS, TRUNKS
from .files import as_arrays, read_torch
from .names import PYTORCH, pair_names, parameter_shapes, take

# torchvision's numbers of the convolutions, by stage.
TORCHVISION_LAYERS = {
    "lpips": ((0,), (3,), (6,), (8,), (10,)),
    "lpips_vgg": ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)),
}
# What the files hold beyond that: classifiers, and counters that old files lack.
UNUSED = ("classifier.", "fc.")
COUNTER = "num_batches_tracked"


def lpips_table(metric: str) -> tuple:
    """Our names; those of torchvision's trunk and of the linear layers in LPIPS's own file."""
    rows = []
    for i, layers in enumerate(TORCHVISION_LAYERS[metric]):
        first = int(TRUNKS[metric].pooled[i])  # behind the pool
        rows += [(f"stages.{i}.{first + 2 * j}", f"features.{layer}") for j, layer in enumerate(layers)]
        rows.append((f"weights.{i}", f"lin{i}.model.1"))
    return tuple(rows)


def inception_table() -> tuple:
    """Our names and those of the layers in files, which src/evaluation/inception.py has beside their shapes."""
    rows = []
    for name, cell in CELLS["fid"][1]().cells_and_names():
        if isinstance(cell, ConvNorm):
            rows += [(f"{name}.conv", f"{cell.name_in_files}.conv"), (f"{name}.norm", f"{cell.name_in_files}.bn")]
    return tuple(rows)


def lpips_from_torchvision(path: Path, output: Path, lpips_linear: str, metric: str = "lpips") -> str:
    """torchvision's classifier and LPIPS's linear layers -> one file."""
    if not lpips_linear:
        raise InputError("LPIPS needs --lpips_linear as well, its own weights: alex.pth or vgg.pth")
    state = as_arrays(read_torch(path), str(path)) | as_arrays(read_torch(Path(lpips_linear)), lpips_linear)
    _save(metric, lpips_table(metric), state, f"{path} with {lpips_linear}", output)
    return f"LPIPS on {CELLS[metric][0].network}"


lpips_vgg_from_torchvision = partial(lpips_from_torchvision, metric="lpips_vgg")


def inception_from_official(path: Path, output: Path) -> str:
    """FID's Inception v3, as the PyTorch port of it is distributed -> one file."""
    _save("fid", inception_table(), as_arrays(read_torch(path), str(path)), str(path), output)
    return "FID's Inception v3 without its classifier"


def _save(metric: str, table: tuple, state: dict, where: str, output: Path) -> None:
    info, make = CELLS[metric]
    shapes = parameter_shapes(make())
    pairs = [(ours, theirs) for ours, theirs in pair_names(table, PYTORCH, shapes) if ours]
    state = {name: a for name, a in state.items() if not name.startswith(UNUSED) and not name.endswith(COUNTER)}
    save_network(output, take(state, pairs, shapes, where), info)
