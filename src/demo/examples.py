"""Images to try the demo with: photos that scikit-image carries, with strokes over them."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

# Photo of skimage.data -> lines over it, as (x, y) in thousandths of its width and height, and their width in pixels.
PHOTOS = {
    "chelsea": ([[(60, 250), (330, 180), (560, 260), (950, 120)], [(200, 820), (480, 720), (800, 900)]], 9),
    "coffee": ([[(640, 130), (760, 330), (840, 560)], [(60, 560), (200, 700), (330, 930)]], 14),
    "astronaut": ([[(60, 120), (240, 300), (300, 620)], [(560, 900), (700, 700), (960, 640)]], 14),
}

SIDE = 384  # pixels, at most: the middle of larger photos, which one window of the network shows whole


class Example(NamedTuple):
    """photo: the file; strokes: bool (H, W), True where they are"""

    photo: Path
    strokes: np.ndarray


def write_examples(folder: Path) -> list[Example]:
    import skimage.data

    folder.mkdir()
    examples = []
    for name, (lines, width) in PHOTOS.items():
        photo = getattr(skimage.data, name)()
        top, left = (max(0, (length - SIDE) // 2) for length in photo.shape[:2])
        photo = photo[top : top + SIDE, left : left + SIDE]
        path = folder / f"{name}.png"
        Image.fromarray(photo).save(path)
        size = np.array(photo.shape[1::-1])
        strokes = np.zeros(photo.shape[:2], np.uint8)
        points = [np.rint(np.array(line) * size / 1000).astype(np.int32) for line in lines]
        cv2.polylines(strokes, points, False, (1,), width)
        examples.append(Example(path, strokes > 0))
    return examples
