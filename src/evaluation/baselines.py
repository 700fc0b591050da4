"""Classical inpainting to compare with: Telea (2004), Navier–Stokes (Bertalmio et al., 2001), biharmonic functions
(Damelin and Hoang, 2018), harmonic functions (Laplace's equation). The first two are OpenCV's, the third is
scikit-image's, the last is solved with SciPy. Where opencv-contrib-python-headless is installed in OpenCV's place, also
its frequency selective reconstruction (Genser et al., 2018), the fast one."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from skimage.restoration import inpaint_biharmonic

from ..data.laplace import solve_laplace
from ..errors import InputError

RADIUS = 3  # pixels around each filled one that it is computed from, in OpenCV's methods


def _opencv(method: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return lambda image, hole: cv2.inpaint(image, hole.astype(np.uint8), RADIUS, method)


def _biharmonic(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    if hole.all():  # nothing to continue from, and scikit-image fails
        return image
    return np.rint(255 * inpaint_biharmonic(image / 255, hole, channel_axis=-1)).astype(np.uint8)


def _harmonic(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    if hole.all():
        return image
    return np.rint(solve_laplace(image, hole)).clip(0, 255).astype(np.uint8)


xphoto: Any = getattr(cv2, "xphoto", None)  # of opencv-contrib


def _frequency_selective(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    filled = image.copy()
    xphoto.inpaint(image, np.where(hole, 0, 255).astype(np.uint8), filled, xphoto.INPAINT_FSR_FAST)
    return filled


BASELINES = {
    "telea": _opencv(cv2.INPAINT_TELEA),
    "ns": _opencv(cv2.INPAINT_NS),
    "biharmonic": _biharmonic,
    "harmonic": _harmonic,
}
if xphoto:
    BASELINES["fsr"] = _frequency_selective


def inpaint_baseline(name: str, image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill the hole of an image from its rim.

    image: uint8 (H, W, 3); known: (H, W) or (1, H, W), 1 = known -> uint8 (H, W, 3), known pixels untouched.
    """
    if name not in BASELINES:
        raise InputError(f"baseline '{name}' is unknown; choose from {', '.join(BASELINES)}")
    hole = known.reshape(image.shape[:2]) == 0
    # What lies in the hole must not matter, and the libraries are not asked to promise it.
    masked = np.where(hole[..., None], 0, image).astype(np.uint8)
    return np.where(hole[..., None], BASELINES[name](masked, hole), image)
