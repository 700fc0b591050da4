"""Renaming arrays between our parameters and another code base's, each used exactly once."""

import numpy as np

from src.errors import InputError

# The last part of a name: ours -> theirs. A module with a `u` is spectral-normalised, one with a `gamma` a batch norm.
TORCH_LEAVES = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
SPECTRAL_LEAVES = {"weight": "weight_orig", "u": "weight_u", "v": "weight_v"}


def parameter_names(ours: list[str], modules: dict[str, str], torch: bool) -> dict[str, str]:
    """Our parameter name -> theirs, for parameters `ours` and a table of module names.

    torch: the other side is PyTorch, which calls the arrays of a batch norm differently.
    """
    spectral = {name.removesuffix(".u") for name in ours if name.endswith(".u")}
    names = {}
    for name in ours:
        module, leaf = name.rsplit(".", 1)
        if module in spectral:
            leaf = SPECTRAL_LEAVES.get(leaf, leaf)
        elif torch:
            leaf = TORCH_LEAVES.get(leaf, leaf)
        names[name] = f"{modules[module]}.{leaf}"
    return names


def rename(source: dict[str, np.ndarray], names: dict[str, str], shapes: dict[str, tuple], where: str) -> dict:
    """Their arrays under our names.

    source: their name -> array; names: our name -> theirs; shapes: our name -> shape. `where` names the file.
    Raises InputError that lists what is missing, what is left over and what has another shape.
    """
    wrong = [f"missing {theirs}" for theirs in names.values() if theirs not in source]
    used = set(names.values())
    wrong += [f"unknown {theirs} {source[theirs].shape}" for theirs in source if theirs not in used]
    result = {}
    for ours, theirs in names.items():
        if theirs not in source:
            continue
        array = source[theirs]
        # The model zoo keeps the vectors of the spectral norm as columns.
        if ours.endswith((".u", ".v")) and array.shape == (*shapes[ours], 1):
            array = array[:, 0]
        if array.shape != tuple(shapes[ours]):
            wrong.append(f"{theirs} is {array.shape}, not {tuple(shapes[ours])}")
        result[ours] = array
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise InputError(f"{where} does not fit: {'; '.join(wrong[:5])}{more}. Another --model or --width?")
    return result
