"""Mixed precision: what runs in float16 or bfloat16."""

import mindspore as ms
from mindspore import nn

from .conv import Conv2d
from .spectral_norm import SpectralNormConv2d

DTYPES = {"float16": ms.float16, "bfloat16": ms.bfloat16}


def convolutions_in(dtype: ms.Type, network: nn.Cell) -> None:
    """Let a network's convolutions, most of its work, take and give `dtype`; all else stays float32, weights included.

    mindspore.amp's O2 does not fit: it casts what enters a cell, but not what enters a bprop of ours. And float32 is
    what masks, norms, softmaxes, the power iterations of spectral norms and all losses need. Dilated convolutions stay
    in float32 too, and are few: MindSpore 2.10 lacks their float16 gradient on GPUs.
    """
    for _, cell in network.cells_and_names():
        if isinstance(cell, Conv2d | SpectralNormConv2d) and not cell.dilated:
            cell.dtype = dtype
