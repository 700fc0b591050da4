"""Masks: read from files (NVIDIA's irregular masks and others) or drawn as free-form strokes.

In files one colour means hole (`mask_polarity`); inside the code 1 is known and 0 is hole.
"""

import logging
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..errors import InputError
from .images import check_headers, decode, open_image, pages
from .orientation import Placement

WHITE = 128  # gray values from here on are white
MID_GRAY = (64, 191)  # neither black nor white: a JPEG's doing, or a third colour
FEW = 0.01  # of a mask's pixels: less of a colour is the rims' doing
COLOURED = 32  # levels between channels: less is JPEG's doing
STEP = 4  # every so many rows and columns are looked at for colours
MUCH = 0.7  # of an image: few holes are larger, and most inverted ones
POLARITIES = ("white_hole", "black_hole")

# Brush walks of drawn masks, as parts of the image's side.
BRUSH_WIDTH = (0.04, 0.14)
SEGMENT_LENGTH = (0.04, 0.18)
SEGMENTS = (3, 14)

logger = logging.getLogger("inpainting")


def read_mask_gray(path: str | Path) -> np.ndarray:
    """Mask file -> uint8 (H, W) of gray values, upright. Raises InputError that names the file.

    Alpha is dropped, except where the image has one colour throughout and only alpha varies: then the mask was
    drawn in alpha, and opaque is white. An image in the place of a mask is refused.
    """
    image = decode(path)
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    colour, gray, varies = image.convert("RGB"), np.asarray(image.convert("L")), False
    if "A" in image.getbands():
        alpha = image.convert("RGBA").getchannel("A")
        low, high = alpha.getextrema()
        varies = low != high
        if varies and all(band.getextrema()[0] == band.getextrema()[1] for band in colour.split()):
            return np.asarray(alpha)
    spread = np.ptp(np.asarray(colour)[::STEP, ::STEP], axis=2)
    if _is_gray(gray[::STEP, ::STEP]) and (varies or np.mean(spread > COLOURED) > FEW):
        raise InputError(
            f"{path} is no mask but an image, or painted in colours; a mask is white in the hole and black elsewhere"
        )
    return gray


def _is_gray(gray: np.ndarray) -> bool:
    """Is more of it than rims neither black nor white?"""
    return float(np.mean((gray >= MID_GRAY[0]) & (gray <= MID_GRAY[1]))) > FEW


def read_mask(path: str | Path, polarity: str = "white_hole") -> np.ndarray:
    """Mask file -> bool (H, W), True = hole."""
    if polarity not in POLARITIES:
        raise InputError(f"mask_polarity '{polarity}' is unknown; choose one of {', '.join(POLARITIES)}")
    white = read_mask_gray(path) >= WHITE
    return white if polarity == "white_hole" else ~white


def read_weights(path: str | Path, polarity: str = "white_hole", edge: str = "hard") -> np.ndarray:
    """Mask file -> float32 (H, W) in [0, 1], as viewers show it: how much of each pixel is to be filled.

    edge: hard gives 0 and 1 alone; soft takes the gray value between black and white. Raises InputError.
    """
    gray = read_mask_gray(path)
    white = gray / np.float32(255) if edge == "soft" else (gray >= WHITE).astype(np.float32)
    return white if polarity == "white_hole" else 1 - white


def resize_mask(hole: np.ndarray, image_size: int) -> np.ndarray:
    """bool (H, W), True = hole -> float32 (1, image_size, image_size), 1 = known, by nearest neighbour."""
    known = Image.fromarray(np.where(hole, 0, 255).astype(np.uint8))
    known = known.resize((image_size, image_size), Image.Resampling.NEAREST)
    return (np.asarray(known)[None] > 0).astype(np.float32)


def load_mask(
    path: str | Path, image_size: int, polarity: str = "white_hole", image: str | Path | None = None
) -> np.ndarray:
    """Mask file -> float32 (1, image_size, image_size), 1 = known.

    image: the file that the mask is for, with which it may have to be turned, see Placement
    """
    hole = read_mask(path, polarity)
    if image is not None and hole.shape[0] != hole.shape[1]:  # the size of a square is that of all its turns
        with open_image(image) as opened:
            hole = Placement.of(opened).with_image(hole)
    return resize_mask(hole, image_size)


def check_masks(paths: Sequence[Path], polarity: str = "white_hole", sample_size: int = 200) -> None:
    """Open every mask's header and look at up to `sample_size` masks, evenly spaced, for the usual mistakes.

    Raises InputError for broken files; warns of a set that looks inverted, empty, or not black and white.
    """
    check_headers(paths)
    warn_of_odd_masks(((path, read_mask_gray(path)) for path in evenly_spaced(paths, sample_size)), polarity)


def evenly_spaced(paths: Sequence[Path], count: int = 200) -> list[Path]:
    """Up to `count` of the paths, the first and the last among them."""
    return [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int))]


def warn_of_odd_masks(masks: Iterable[tuple[Path, np.ndarray]], polarity: str, gray_is_meant: bool = False) -> None:
    """Warn of masks that look inverted, are empty, hold several images or, unless `gray_is_meant`, are not black and
    white.

    masks: each a file and its gray values, uint8 (H, W).
    """
    holes, blurred, several = {}, [], []
    for path, gray in masks:
        white = np.mean(gray >= WHITE)
        holes[path] = white if polarity == "white_hole" else 1 - white
        if not gray_is_meant and _is_gray(gray):
            blurred.append(path)
        with open_image(path) as image:
            if pages(image) > 1:
                several.append(path)

    if not holes:
        return
    average, folder = np.mean(list(holes.values())), next(iter(holes)).parent
    other = POLARITIES[polarity == "white_hole"]
    full, empty = [path for path in holes if holes[path] > MUCH], [path for path in holes if holes[path] == 0]

    def some(paths: list[Path]) -> str:
        return f"{len(paths)} of {len(holes)} masks looked at, such as {paths[0]},"

    if average > MUCH:
        logger.warning(
            f"The masks in {folder} are {average:.1%} hole on average with --mask_polarity {polarity}; "
            f"if holes are the other colour, use --mask_polarity {other}."
        )
    elif full:
        logger.warning(
            f"{some(full)} are over {MUCH:.0%} hole with --mask_polarity {polarity}; the others are not: are its "
            "colours the wrong way round?"
        )
    if average == 0:
        logger.warning(
            f"The masks in {folder} have no holes with --mask_polarity {polarity}: gray values below {WHITE} are "
            f"black; save black as 0 and white as 255."
        )
    elif empty:
        logger.warning(f"{some(empty)} have no hole with --mask_polarity {polarity}: their images stay as they are.")
    if several:
        logger.warning(f"{some(several)} hold several images, of which the first is taken.")
    if blurred:
        logger.warning(
            f"{some(blurred)} have over 1 % gray pixels "
            f"({MID_GRAY[0]} to {MID_GRAY[1]}); gray from {WHITE} on is white. Save masks as black and white PNG"
        )


def draw_mask(rng: np.random.Generator, image_size: int, hole_min: float, hole_max: float) -> np.ndarray:
    """Free-form mask of brush strokes: float32 (1, image_size, image_size), 1 = known.

    The hole's part of the image is uniform in [hole_min, hole_max], to the pixel. The same generator state gives
    the same mask.
    """
    hole = draw_strokes(rng, (image_size, image_size), hole_min, hole_max)
    return (~hole[None]).astype(np.float32)


def draw_strokes(
    rng: np.random.Generator,
    shape: tuple[int, int],
    hole_min: float,
    hole_max: float,
    pixels: tuple[float, float] | None = None,
) -> np.ndarray:
    """Free-form mask of brush strokes: bool (H, W), True = hole, with as much of it as in `draw_mask`.

    pixels: narrowest and widest stroke; by default they follow the image's shorter side.
    """
    if not 0 <= hole_min <= hole_max <= 1:
        raise InputError(f"hole_min {hole_min} and hole_max {hole_max} must be ordered and within [0, 1]")
    num_pixels = math.prod(shape)
    fewest, most = math.ceil(hole_min * num_pixels), math.floor(hole_max * num_pixels)
    target = int(rng.integers(fewest, max(fewest, most) + 1))
    widths = BRUSH_WIDTH if pixels is None else (pixels[0] / min(shape), pixels[1] / min(shape))

    hole = np.zeros(shape, np.uint8)
    while cv2.countNonZero(hole) < target:
        _draw_stroke(rng, hole, target, widths)
    return hole.astype(bool)


def _draw_stroke(rng: np.random.Generator, hole: np.ndarray, target: int, widths: tuple[float, float]) -> None:
    """Walk a round brush from a known pixel, into `hole` (H, W), until the walk or the target ends."""
    size = min(hole.shape)
    y, x = _known_pixel(hole, int(rng.integers(hole.size - cv2.countNonZero(hole))))  # every stroke adds to the hole
    width = max(1, round(rng.uniform(*widths) * size))
    angle = rng.uniform(0, 2 * math.pi)

    for _ in range(rng.integers(*SEGMENTS)):
        angle += rng.normal(0, 0.8)
        length = rng.uniform(*SEGMENT_LENGTH) * size
        start, end = (round(x), round(y)), (round(x + length * math.cos(angle)), round(y + length * math.sin(angle)))
        before = hole.copy()
        cv2.line(hole, start, end, (1,), width)
        cv2.circle(hole, end, width // 2, (1,), -1)

        excess = cv2.countNonZero(hole) - target
        if excess >= 0:
            _cut_back(hole, before, start, excess)
            return
        x, y = end
        if not (0 <= x < hole.shape[1] and 0 <= y < hole.shape[0]):
            return


def _known_pixel(hole: np.ndarray, number: int) -> tuple[int, int]:
    """Row and column of the known pixel of that number, counted row by row. hole: (H, W) of 0 and 1

    Rows are halved until one is left: listing all known pixels would take twenty times as long.
    """
    first, last, width = 0, *hole.shape
    while last - first > 1:
        middle = (first + last) // 2
        above = (middle - first) * width - cv2.countNonZero(hole[first:middle])
        first, last = (first, middle) if number < above else (middle, last)
        number -= 0 if last == middle else above
    return first, int(np.flatnonzero(hole[first] == 0)[number])


def _cut_back(hole: np.ndarray, before: np.ndarray, start: tuple[int, int], excess: int) -> None:
    """End the last segment early: give back its `excess` pixels farthest from its start."""
    rows, columns = np.nonzero(hole != before)
    distance = (rows - start[1]) ** 2 + (columns - start[0]) ** 2
    far = np.argsort(distance, kind="stable")[len(distance) - excess :]
    hole[rows[far], columns[far]] = 0
