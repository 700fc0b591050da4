"""Classical inpainting to compare with: OpenCV's Telea (2004) and Navier–Stokes (Bertalmio et al., 2001)."""

import cv2
import numpy as np

from src.errors import InputError

BASELINES = {"telea": cv2.INPAINT_TELEA, "ns": cv2.INPAINT_NS}
RADIUS = 3  # pixels around each filled one that it is computed from


def inpaint_baseline(name: str, image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill the hole of a picture from its rim.

    image: uint8 (H, W, 3); known: (H, W) or (1, H, W), 1 = known -> uint8 (H, W, 3), known pixels untouched.
    """
    if name not in BASELINES:
        raise InputError(f"baseline '{name}' is unknown; choose from {', '.join(BASELINES)}")
    hole = known.reshape(image.shape[:2]) == 0
    # What lies in the hole must not matter, and OpenCV is not asked to promise it.
    masked = np.where(hole[..., None], 0, image).astype(np.uint8)
    filled = cv2.inpaint(masked, hole.astype(np.uint8), RADIUS, BASELINES[name])
    return np.where(hole[..., None], filled, image)
