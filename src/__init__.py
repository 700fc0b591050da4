"""Image-inpainting networks as MindSpore cells; models.py lists them.

Installed, this package is called inpainting: from inpainting import Inpainter; Inpainter()(image, mask)
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .inference.inpainter import Inpainter

__all__ = ["Inpainter"]

# On AVX-512 hosts MindSpore's CPU convolution otherwise falls to oneDNN's reference kernel, about a hundred times
# slower. Set before MindSpore is imported; a value the user chose stays.
ISA_VARIABLE, MINDSPORE_ISA = "ONEDNN_MAX_CPU_ISA", "AVX2"
os.environ.setdefault(ISA_VARIABLE, MINDSPORE_ISA)

# MindSpore logs at warning level by default, and prints a page of it for each back end that is not installed.
os.environ.setdefault("GLOG_v", "3")


def __getattr__(name: str) -> object:
    """Inpainter is imported when it is asked for: training and conversion need none of what it imports."""
    if name != "Inpainter":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .inference.inpainter import Inpainter

    return Inpainter
