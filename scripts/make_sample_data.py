"""Cut a small data set from the colour photos that scikit-image carries: python scripts/make_sample_data.py FOLDER

Writes FOLDER/train, FOLDER/test (images of 128×128 pixels), FOLDER/test_masks (white = hole) and FOLDER/photo.png
with FOLDER/photo_mask.png, a larger image to fill. No test image shares a pixel with a training image.
"""

import sys
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from src.data.masks import draw_mask

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")  # those every scikit-image wheel holds
SIZE, STRIDE = 128, 32  # pixels: an image's side, and how far apart overlapping training images start
HELD_OUT = 4  # every fourth cell of a photo's grid is a test image
NUM_MASKS = 12


def cut(photo: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(H, W, 3) -> training images, which overlap each other, and test images, which overlap nothing."""
    height, width = photo.shape[:2]
    cells = [(y, x) for y in range(0, height - SIZE + 1, SIZE) for x in range(0, width - SIZE + 1, SIZE)]
    held_out = cells[2::HELD_OUT]
    starts = [(y, x) for y in range(0, height - SIZE + 1, STRIDE) for x in range(0, width - SIZE + 1, STRIDE)]
    free = [s for s in starts if all(abs(s[0] - y) >= SIZE or abs(s[1] - x) >= SIZE for y, x in held_out)]
    return [[photo[y : y + SIZE, x : x + SIZE] for y, x in places] for places in (free, held_out)]


def save_mask(path: Path, known: np.ndarray) -> None:
    Image.fromarray(((1 - known[0]) * 255).astype(np.uint8)).save(path)


def main(folder: Path) -> None:
    counts = {"train": 0, "test": 0}
    for part in (*counts, "test_masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name in PHOTOS:
        photo = getattr(skimage.data, name)()
        for part, images in zip(counts, cut(photo), strict=True):
            for i, image in enumerate(images):
                Image.fromarray(image).save(folder / part / f"{name}_{i:03d}.png")
            counts[part] += len(images)
    rng = np.random.default_rng(0)
    for i in range(NUM_MASKS):  # hole ratios over all three buckets, one after the other
        low = 0.2 * (i % 3)
        save_mask(folder / "test_masks" / f"{i:02d}.png", draw_mask(rng, SIZE, max(low, 0.02), low + 0.2))
    photo = skimage.data.chelsea()[:300, :450]
    Image.fromarray(photo).save(folder / "photo.png")
    hole = draw_mask(rng, 450, 0.05, 0.08)[:, 75:375]
    save_mask(folder / "photo_mask.png", hole)
    print(f"Wrote {folder}: {counts['train']} training and {counts['test']} test images, {NUM_MASKS} masks")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
