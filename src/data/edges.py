"""Structure of an image: its gray version and its Canny edges (Guo et al., ICCV 2021, Sec. 4.1).

The published pipeline turns the [-1, 1] tensor into a gray image by multiplying by 255 and casting to uint8, where
negative values wrap. `edge_mode` "published" reproduces that on any host, "clean" uses the image itself.
"""

import cv2
import numpy as np
from skimage.color import rgb2gray

from ..errors import InputError
from .canny import canny
from .images import NORMALISED

EDGE_MODES = ("published", "clean")

# In integers: a cast of negative floats to uint8 wraps on x86 and saturates on Arm. The product must be float32, where
# some odd integers come out a hair smaller and are truncated to the even one below.
WRAPPED = (np.trunc(np.float32(255) * NORMALISED).astype(np.int64) % 256).astype(np.uint8)


def gray_image(image: np.ndarray, edge_mode: str) -> np.ndarray:
    """uint8 (H, W, 3) -> float64 (H, W) in [0, 1]."""
    if edge_mode not in EDGE_MODES:
        raise InputError(f"edge_mode '{edge_mode}' is unknown; choose one of {', '.join(EDGE_MODES)}")
    return rgb2gray(cv2.LUT(image, WRAPPED) if edge_mode == "published" else image)


def edge_map(gray: np.ndarray, edge_mode: str, sigma: float, known: np.ndarray | None = None) -> np.ndarray:
    """(H, W) in [0, 1] -> float32 (H, W), 1 on Canny's edges after a Gaussian of `sigma` pixels, else 0.

    known: bool (H, W); with it, edges are those of known pixels alone: what a hole holds is not looked at
    Give it float64 as the published pipeline does: in float32 the edges of one image in a hundred differ.
    """
    return canny(gray, sigma, known, exact=edge_mode == "published").astype(np.float32)


def edge_and_gray(
    image: np.ndarray, edge_mode: str, sigma: float, known: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (H, W, 3) -> edge, gray: float32 (1, H, W) each, as the networks take them.

    known: bool (H, W), for images whose holes are to be filled. The published pipeline looks at the whole image:
    with `edge_mode` "published" what a hole holds decides on edges some pixels around it, with "clean" it does not.
    """
    gray = gray_image(image, edge_mode)
    if edge_mode == "published":
        known = None
    return edge_map(gray, edge_mode, sigma, known)[None], gray[None].astype(np.float32)
