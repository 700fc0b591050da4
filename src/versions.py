"""Which packages computed a number: written beside results and exported files."""

import importlib
import platform

PACKAGES = ("mindspore", "numpy", "PIL", "skimage", "cv2")


def versions() -> dict[str, str]:
    """{"python": "3.11.8", "mindspore": …}"""
    return {"python": platform.python_version()} | {p: importlib.import_module(p).__version__ for p in PACKAGES}
