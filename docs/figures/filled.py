"""Make filled.png, the README's first image: python docs/figures/filled.py

Three removals from photos that scikit-image carries, by the weights that ship: two masts, scratches, a date stamp. Left
to right: the photo, its hole in white, filled.
"""

import sys
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).parents[2]))
from model_utils.config import load_config
from model_utils.device import prepare
from model_utils.entry import SHIPPED

ROOT = Path(__file__).parents[2]
SIZE = 400, 300  # width and height of what is shown
# Outlines of two masts, in the photo's pixels; ends of scratches.
MASTS = ((160, 392, 186, 188, 192, 116, 210, 116, 210, 392), (432, 392, 434, 188, 439, 116, 453, 116, 492, 392))
SCRATCHES = ((150, 130, 560, 210), (300, 40, 235, 360), (505, 40, 420, 360), (170, 250, 560, 330))


def masts() -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    photo = skimage.data.rocket()
    hole = Image.new("1", photo.shape[1::-1])
    for outline in MASTS:
        ImageDraw.Draw(hole).polygon(outline, fill=1)
    return photo, np.asarray(hole), (120, 100)


def scratches() -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    photo = skimage.data.coffee()
    lines, hole = Image.new("1", photo.shape[1::-1]), Image.new("1", photo.shape[1::-1])
    for ends in SCRATCHES:
        ImageDraw.Draw(lines).line(ends, fill=1, width=3)
        ImageDraw.Draw(hole).line(ends, fill=1, width=9)
    return np.where(np.asarray(lines)[..., None], 235, photo).astype(np.uint8), np.asarray(hole), (160, 50)


def stamp() -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    photo = skimage.data.chelsea()
    font, text, place = ImageFont.load_default(34), "2019 11 04", (240, 240)
    letters = Image.new("L", photo.shape[1::-1])
    ImageDraw.Draw(letters).text(place, text, 255, font, stroke_width=1)
    hole = Image.new("L", letters.size)
    ImageDraw.Draw(hole).text(place, text, 255, font, stroke_width=4)
    ink = np.asarray(letters)[..., None] / 255
    stamped = np.rint(photo * (1 - ink) + np.array([255, 140, 30]) * ink).astype(np.uint8)
    return stamped, np.asarray(hole) > 0, (45, 0)


def main() -> None:
    prepare(load_config(["--mode", "pynative"]))
    from src.inference.inpainter import Inpainter

    inpainter, rows = Inpainter(ROOT / SHIPPED), []
    for make in (masts, scratches, stamp):
        photo, hole, (left, top) = make()
        shown = np.s_[top : top + SIZE[1], left : left + SIZE[0]]
        masked = np.where(hole[..., None], 255, photo).astype(np.uint8)
        rows.append(np.hstack([image[shown] for image in (photo, masked, inpainter(photo, hole))]))
    Image.fromarray(np.vstack(rows)).save(Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main()
