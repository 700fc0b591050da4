"""FILE.json, which says how to use an exported file: src/inference/sidecar.py reads it."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from src.export.trial import Exported
from src.inference.sidecar import sha256
from src.models import get_model
from src.versions import versions


def write_sidecar(path: Path, exported: Exported, batch_size: int) -> None:
    """Write the .json beside an exported file, which is there already."""
    known = {tensor.name: tensor for tensor in exported.described}

    def described(arrays: Mapping[str, np.ndarray]) -> list[dict]:
        return [
            {
                "name": name,
                "shape": (batch_size, *array.shape[1:]),
                "dtype": str(array.dtype),
                "range": known[name].range,
                "meaning": known[name].meaning,
            }
            for name, array in arrays.items()
        ]

    facts = {
        **exported.facts,
        "batch_size": batch_size,
        "inputs": described(exported.inputs),
        "outputs": described(exported.outputs),
        "mask_files": "white is the hole (--mask_polarity white_hole)",
        # Options that name files for a checkpoint: what is in them is in this file.
        "built_in": get_model(exported.facts["model"]).build_options,
        "versions": versions(),
        "sha256": sha256(path),
    }
    path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
