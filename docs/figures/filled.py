"""Make filled.png, the README's first picture: python docs/figures/filled.py

Brush strokes of 8 to 20 pixels over a tenth of three photos that scikit-image carries, filled with the weights that
ship. Left to right: masked, filled, true.
"""

import sys
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))
from model_utils.config import load_config
from model_utils.device import prepare
from model_utils.entry import SHIPPED

ROOT = Path(__file__).parents[2]
PHOTOS = {"coffee": (20, 120), "rocket": (60, 150), "chelsea": (10, 60)}  # top and left of a part of 256×320 pixels


def main() -> None:
    prepare(load_config(["--mode", "pynative"]))
    from src.data.masks import draw_strokes
    from src.inference.inpainter import Inpainter

    inpainter, rng, rows = Inpainter(ROOT / SHIPPED), np.random.default_rng(3), []
    for name, (top, left) in PHOTOS.items():
        photo = getattr(skimage.data, name)()[top : top + 256, left : left + 320]
        hole = draw_strokes(rng, photo.shape[:2], 0.08, 0.12, (8, 20))
        masked = np.where(hole[..., None], 255, photo).astype(np.uint8)
        rows.append(np.hstack([masked, inpainter(photo, hole), photo]))
    Image.fromarray(np.vstack(rows)).save(Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main()
