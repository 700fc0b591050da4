"""FILE.json beside an exported network, FILE.mindir or FILE.onnx: how to use it. Needs no MindSpore, and no model.

Nothing in the file itself says how to prepare its inputs.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..network_info import COMPOSITE, NetworkInfo, TensorInfo, check_settings
from ..versions import versions

# What stands beside the entries of a NetworkInfo.
DESCRIPTION = ("batch_size", "inputs", "outputs", "mask_files", "built_in", "versions", "sha256")
# The settings that preparing images depends on; what else the file was made with, it computes by itself.
NEEDED = {"image_size": int, "edge_mode": str, "sigma": float}


class Sidecar(NamedTuple):
    """What an exported file says of itself."""

    info: NetworkInfo
    batch_size: int  # samples that the file takes at once
    inputs: tuple[str, ...]  # names, in the order that it takes them


def write_sidecar(
    path: Path,
    info: NetworkInfo,
    batch_size: int,
    inputs: Mapping[TensorInfo, np.ndarray],
    outputs: Mapping[TensorInfo, np.ndarray],
    built_in: Sequence[str],
) -> None:
    """Write the .json beside an exported file, which is there already.

    inputs, outputs: an example of each, (B, …)
    built_in: options that name files for a checkpoint; what is in them is in this file
    """

    def described(arrays: Mapping[TensorInfo, np.ndarray]) -> list[dict]:
        return [
            {
                "name": tensor.name,
                "shape": (batch_size, *array.shape[1:]),
                "dtype": str(array.dtype),
                "range": tensor.range,
                "meaning": tensor.meaning,
            }
            for tensor, array in arrays.items()
        ]

    facts = {
        **info.facts(),
        "batch_size": batch_size,
        "inputs": described(inputs),
        "outputs": described(outputs),
        "mask_files": "white is the hole (--mask_polarity white_hole)",
        "built_in": built_in,
        "versions": versions(),
        "sha256": sha256(path),
    }
    path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def read_sidecar(path: Path, chosen: Mapping[str, object]) -> Sidecar:
    """What is known of an exported file, which has to be whole and to fill holes.

    chosen: options that the user gave, which have to agree. Raises InputError.
    """
    sidecar = path.with_suffix(".json")
    if not path.is_file():
        raise InputError(f"{path} does not exist; export.py makes one from a checkpoint")
    if not sidecar.is_file():
        raise InputError(
            f"{path} has no {sidecar.name} beside it, which says how to use it; copy both, or export again"
        )
    try:
        facts = json.loads(sidecar.read_text(encoding="utf-8"))
        checksum, batch_size = facts["sha256"], int(facts["batch_size"])
        if batch_size < 1:
            raise ValueError(f"batch_size {batch_size}")
        inputs, outputs = (tuple(entry["name"] for entry in facts[key]) for key in ("inputs", "outputs"))
        facts["model"], facts["network"], facts["image_size"]  # have no usual values
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{sidecar} is damaged; export {path.name} again") from error
    try:
        info = NetworkInfo.of({name: value for name, value in facts.items() if name not in DESCRIPTION}, NEEDED)
    except ValueError as error:
        raise InputError(f"{sidecar}: {error}; export {path.name} again") from error
    check_settings(path, info, chosen)
    if outputs != (COMPOSITE.name,):
        raise InputError(f"{path} is {info.model}'s {info.network} alone, which fills no holes; give another file")
    for name in facts.get("built_in", ()):
        if name in chosen:
            raise InputError(f"{path} is complete in itself; leave --{name} out, or give a checkpoint")
    if sha256(path) != checksum:
        raise InputError(f"{path} is damaged, or not the file that {sidecar.name} was written for; export it again")
    return Sidecar(info, batch_size, inputs)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
