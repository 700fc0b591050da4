"""Arrays under our names and under those of another code base; a conversion uses each exactly once.

A table has one row for each module: our name, then its name elsewhere, a column for each code base, in the order of
the official state dict. A row may also name a single array.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from mindspore import nn

from ..checkpoint import not_finite
from ..errors import InputError

PYTORCH, MODELZOO = 1, 2  # the columns: the official PyTorch code or torchvision, and the MindSpore model zoo

# The arrays of a module, in PyTorch's order: ours, PyTorch's, the model zoo's.
CONV = (("weight", "weight", "weight"), ("bias", "bias", "bias"))
NORM = (
    ("gamma", "weight", "gamma"),
    ("beta", "bias", "beta"),
    ("moving_mean", "running_mean", "moving_mean"),
    ("moving_variance", "running_var", "moving_variance"),
    (None, "num_batches_tracked", None),  # no array here: NetworkInfo.batches_tracked
)
SPECTRAL = (
    ("bias", "bias", "bias"),
    ("weight", "weight_orig", "weight_orig"),
    ("u", "weight_u", "weight_u"),
    ("v", "weight_v", "weight_v"),
)

LISTED = 5  # how many names of each kind an error message shows


def parameter_shapes(network: nn.Cell) -> dict[str, tuple]:
    """Our names and shapes."""
    return {name: tuple(parameter.shape) for name, parameter in network.parameters_and_names()}


def infer_width(counts: Mapping[int, int], scaled: Callable[[int, float], int]) -> float:
    """The roundest width that explains channel counts, by those of the published network.

    scaled: what gives the count of a width. 1 where no width does, and then shapes will not fit.
    """
    widest = max(counts, default=1)
    for digits in range(1, 7):
        width = round(counts.get(widest, 1) / widest, digits)
        if width > 0 and all(scaled(channels, width) == count for channels, count in counts.items()):
            return width
    return 1.0


def pair_names(table: tuple, column: int, shapes: dict[str, tuple]) -> list[tuple[str | None, str]]:
    """(our name, their name) of every array of the other code base, in the table's order.

    shapes: the network's parameters, which tell what kind of module a row names. Two of their names may share one of
    ours, and a counter of batches has none.
    """
    pairs = []
    for row in table:
        ours, theirs = row[0], row[column]
        if theirs is None:
            continue
        if ours in shapes:
            pairs.append((ours, theirs))
            continue
        leaves = NORM if f"{ours}.gamma" in shapes else SPECTRAL if f"{ours}.u" in shapes else CONV
        for leaf in leaves:
            name = leaf[0] and f"{ours}.{leaf[0]}"
            if leaf[column] and (name is None or name in shapes):
                pairs.append((name, f"{theirs}.{leaf[column]}"))
    return pairs


def take(
    source: dict[str, np.ndarray], pairs: Sequence[tuple[str | None, str]], shapes: dict[str, tuple], where: str
) -> dict[str, np.ndarray]:
    """Their arrays under our names. Where two of theirs are one of ours the last counts, as it does in PyTorch.

    Raises InputError that lists what is missing, what is left over, what has another shape, and what is not finite;
    `where` names the file.
    """
    expected = {theirs for _, theirs in pairs}
    missing = [theirs for _, theirs in pairs if theirs not in source]
    unknown = [theirs for theirs in source if theirs not in expected]
    misshapen, arrays = [], {}
    for ours, theirs in pairs:
        if theirs not in source:
            continue
        array, shape = source[theirs], tuple(shapes[ours]) if ours else ()
        if theirs.endswith(("_u", "_v")) and array.shape == (*shape, 1):  # the model zoo has columns for vectors
            array = array[:, 0]
        dtype = np.dtype(np.float32 if ours else np.int64)
        if (array.dtype, array.shape) != (dtype, shape):
            misshapen.append(f"{theirs} (is {array.dtype} {array.shape}, not {dtype} {shape})")
        if ours:
            arrays[ours] = array

    problems = {"missing": missing, "unknown": unknown, "of another shape": misshapen, "not finite": not_finite(source)}
    if any(problems.values()):
        raise InputError(f"{where} does not fit: {'; '.join(_list(k, v) for k, v in problems.items() if v)}")
    return arrays


def _list(kind: str, names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{kind}: {', '.join(names[:LISTED])}{more}"
