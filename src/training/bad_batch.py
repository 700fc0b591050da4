"""The batch that a run ended with, to look at."""

from pathlib import Path

import numpy as np
from mindspore import Tensor

from ..data.images import to_uint8
from ..drawing.sheet import Row, draw_sheet


def save_bad_batch(folder: Path, columns: tuple[str, ...], batch: tuple[Tensor, ...]) -> Path:
    """Write it as bad_batch.npz and as bad_batch.png, with its `columns`' names -> the latter's path."""
    arrays = dict(zip(columns, (tensor.asnumpy() for tensor in batch), strict=True))
    np.savez(folder / "bad_batch.npz", **arrays)
    rows = []
    for images in zip(*arrays.values(), strict=True):
        signed = [p if len(p) == 3 else np.repeat(2 * p - 1, 3, axis=0) for p in map(np.nan_to_num, images)]
        rows.append(Row([to_uint8(image) for image in signed]))
    draw_sheet(columns, rows).save(folder / "bad_batch.png")
    return folder / "bad_batch.png"
