"""A photo of 24 megapixels with two holes of 150 pixels, far apart: python benchmarks/large_photo.py NETWORK

NETWORK: a checkpoint, or an exported file. Prints the seconds of loading and of three calls, and the process's peak
memory, libraries included. In the image, one of scikit-image's enlarged, both holes are filled at full resolution.
"""

import sys
import time
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.memory import peak_memory
from model_utils.entry import stop
from src.errors import InputError
from src.inference.inpainter import Inpainter

SIZE = (6000, 4000)  # pixels: width, height
CENTRES = ((900, 700), (5100, 3300))
RADIUS = 75


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        stop("error: python benchmarks/large_photo.py NETWORK", 2)
    image = np.asarray(Image.fromarray(skimage.data.coffee()).resize(SIZE, Image.Resampling.BICUBIC))
    rows, columns = np.ogrid[: SIZE[1], : SIZE[0]]
    hole = np.zeros(image.shape[:2], bool)
    for x, y in CENTRES:
        hole |= (columns - x) ** 2 + (rows - y) ** 2 < RADIUS**2
    start = time.perf_counter()
    try:
        fill = Inpainter(sys.argv[1])
    except InputError as error:
        stop(f"error: {error}", 2)
    print(f"loading: {time.perf_counter() - start:.1f} s")
    for _ in range(3):
        start = time.perf_counter()
        filled = fill(image, np.uint8(255) * hole)
        print(f"filling: {time.perf_counter() - start:.1f} s", flush=True)
        if not np.array_equal(filled[~hole], image[~hole]):
            raise AssertionError("known pixels changed")
    print(f"peak memory: {peak_memory('CPU') / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
