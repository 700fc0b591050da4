"""Any image in, the same image out with its hole filled: over modes, depths, formats, tags, sizes and masks."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from src.data.images import luminance, open_image, turned
from src.data.orientation import as_stored, upright
from src.inference.inpainter import Inpainter
from src.inference.jobs import Job, find_faults
from src.inference.user_files import Settings, fill_files
from tests.defaults import with_defaults

ORIENTATION = 274
PROFILE = {
    1: b"\0" * 16 + b"GRAY" + bytes(108),
    3: b"\0" * 16 + b"RGB " + bytes(108),
    4: b"\0" * 16 + b"CMYK" + bytes(108),
}


def invert(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """A network of which every filled pixel shows that it was filled."""
    assert image.shape == (*hole.shape, 3)
    assert image.flags.c_contiguous
    assert hole.dtype == np.float32
    filled = image.copy()
    filled[hole > 0] = np.iinfo(image.dtype).max - image[hole > 0]
    return filled


def holes(rng: np.random.Generator, height: int, width: int) -> dict[str, np.ndarray]:
    """Masks, uint8 (H, W), of every kind that a loop over windows or rows could trip over."""
    masks = {name: np.zeros((height, width), np.uint8) for name in ("empty", "one pixel", "border", "specks", "most")}
    masks["full"] = np.full((height, width), 255, np.uint8)
    masks["one pixel"][rng.integers(height), rng.integers(width)] = 255
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        masks["border"][edge] = 255
    masks["specks"][rng.integers(height, size=500), rng.integers(width, size=500)] = 255
    masks["most"][rng.random((height, width)) < 0.9] = 255
    return masks


@dataclass(frozen=True)
class Case:
    """A kind of file: the mode it is drawn in, the modes of Pillow before and after, its depth."""

    suffix: str
    mode: str
    after: str
    depth: int = 8
    key: bool = False  # a transparent colour instead of alpha


CASES = [
    *(Case(suffix, mode, mode) for suffix in (".png", ".tif") for mode in ("L", "LA", "RGB", "RGBA")),
    *(Case(suffix, "1", "L") for suffix in (".png", ".tif", ".bmp")),
    *(Case(suffix, "P", "RGB") for suffix in (".png", ".tif", ".bmp")),
    *(Case(".bmp", mode, mode) for mode in ("L", "RGB")),
    *(Case(".webp", mode, mode) for mode in ("RGB", "RGBA")),
    Case(".tif", "PA", "RGBA"),
    Case(".tif", "CMYK", "CMYK"),
    *(Case(".png", mode, mode, 16) for mode in ("L", "LA", "RGB", "RGBA")),
    *(Case(".tif", mode, mode, 16) for mode in ("L", "RGB", "RGBA")),
    *(Case(".png", mode, after, 8, True) for mode, after in (("1", "LA"), ("L", "LA"), ("P", "RGBA"), ("RGB", "RGBA"))),
    *(Case(".png", mode, after, 16, True) for mode, after in (("L", "LA"), ("RGB", "RGBA"))),
]


def draw(case: Case, path: Path, height: int, width: int, orientation: int, rng: np.random.Generator) -> bytes | None:
    """Write a random image with other tools than the ones that are tested, where there are others. Its profile."""
    profile = None if case.suffix == ".bmp" else PROFILE[{"1": 1, "L": 1, "LA": 1, "CMYK": 4}.get(case.mode, 3)]
    if case.depth == 16:
        pixels = rng.integers(0, 65536, (height, width, len(case.mode)), np.uint16)
        if case.key:
            pixels[rng.random((height, width)) < 0.5] = 1000
        (draw_png_16 if case.suffix == ".png" else draw_tiff_16)(path, pixels, orientation, profile, case.key)
        return profile
    options = {} if profile is None else {"icc_profile": profile}
    if orientation != 1:
        options["exif"] = Image.Exif()
        options["exif"][ORIENTATION] = orientation
    if case.suffix == ".webp":
        options |= {"lossless": True, "exact": True}
    pixels = rng.integers(0, 256, (height, width, 4), np.uint8)
    if case.mode == "CMYK":
        image = Image.frombytes("CMYK", (width, height), pixels.tobytes())
    elif case.mode in ("P", "PA"):
        image = Image.fromarray(pixels[..., :3]).quantize(16)
        if case.mode == "PA":
            image = image.convert("PA")
            image.putalpha(Image.fromarray(np.ascontiguousarray(pixels[..., 3])))
    else:
        image = Image.fromarray(pixels).convert(case.mode)
    if case.key:
        key = image.getpixel((0, 0))
        options["transparency"] = int(key > 0) if case.mode == "1" else key
    image.save(path, **options)
    return profile


def draw_png_16(path: Path, pixels: np.ndarray, orientation: int, profile: bytes | None, key: bool) -> None:
    height, width, channels = pixels.shape

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    colours = channels - (channels in (2, 4))
    rows = np.ascontiguousarray(pixels, ">u2").view(np.uint8).reshape(height, -1)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0))
        + chunk(b"iCCP", b"mine\0\0" + zlib.compress(profile))
        + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) * (orientation != 1)
        + chunk(b"tRNS", struct.pack(">H", 1000) * colours) * key
        + chunk(b"IDAT", zlib.compress(np.insert(rows, 0, 0, axis=1).tobytes()))
        + chunk(b"IEND", b"")
    )


def draw_tiff_16(path: Path, pixels: np.ndarray, orientation: int, profile: bytes | None, key: bool) -> None:
    channels = pixels.shape[2]
    tifffile.imwrite(
        path,
        pixels[..., 0] if channels == 1 else pixels,
        byteorder=">",
        photometric="minisblack" if channels == 1 else "rgb",
        extrasamples=["unassalpha"] if channels == 4 else None,
        extratags=[(ORIENTATION, "H", 1, orientation, True), (34675, "B", len(profile), profile, True)],
    )


def read(path: Path, case: Case) -> np.ndarray:
    """A file as another program sees it: (H, W, C), of 8 bits upright, of 16 bits as stored."""
    if case.depth == 8:
        with open_image(path) as image:
            image.load()
            pixels = np.asarray(by_way_of_rgba(turned(image), case.after))
            return pixels.reshape(*pixels.shape[:2], -1)
    if case.suffix == ".tif":
        pixels = tifffile.imread(path)
        return pixels.reshape(*pixels.shape[:2], -1)
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    colours = pixels[..., :1] if case.mode in ("L", "LA") else pixels[..., 2::-1]
    if not case.after.endswith("A"):
        return colours
    if pixels.shape[2] == 4:
        return np.concatenate([colours, pixels[..., 3:]], axis=2)
    return np.concatenate([colours, np.where(colours == 1000, 0, 65535).astype(np.uint16)], axis=2)  # gray with a key


def by_way_of_rgba(image: Image.Image, mode: str) -> Image.Image:
    return image.convert("RGBA").convert(mode) if mode.endswith("A") else image.convert(mode)


def try_case(folder: Path, case: Case, shape: tuple[int, int], fill: Callable, rng: np.random.Generator) -> None:
    """One random image, under every kind of mask."""
    orientation = 1 if case.suffix == ".bmp" else int(rng.integers(1, 9))
    image, mask_file, output = folder / f"in{case.suffix}", folder / "mask.png", folder / f"out{case.suffix}"
    profile = draw(case, image, *shape, orientation, rng)
    calls = []

    def remember(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        filled = fill(image, hole)
        calls.append((image, filled))
        return filled

    for kind, mask in holes(rng, *shape).items():
        # Where the sides tell them apart, masks come as stored, too; elsewhere always as shown.
        stored = orientation >= 5 and shape[0] != shape[1] and rng.random() < 0.5
        Image.fromarray(mask if stored else upright(mask, orientation)).save(mask_file)
        job = Job(image, mask_file, output)
        assert find_faults([job]) == {}
        assert fill_files([job], partial(starmap, remember), with_defaults(Settings), many=False) == {}

        with Image.open(output) as result, Image.open(image) as source:
            assert result.getexif().get(ORIENTATION, 1) == orientation, kind
            assert result.info.get("icc_profile") == profile
            assert result.size == source.size
            if case.depth == 8:
                assert result.mode == case.after
        before, after = read(image, case), read(output, case)
        turn = 1 if case.depth == 16 else orientation  # as `read` gives pixels
        inside = upright(mask, turn) > 0
        seen, filled = (upright(as_stored(pixels, orientation), turn) for pixels in calls[-1])
        colours = len(case.after.removesuffix("A"))
        np.testing.assert_array_equal(after[~inside], before[~inside], kind)
        np.testing.assert_array_equal(after[..., colours:], before[..., colours:], kind)  # alpha
        np.testing.assert_array_equal(seen, as_rgb(before, case), kind)
        np.testing.assert_array_equal(after[inside][:, :colours], in_colours(filled[inside], case), kind)


def as_rgb(pixels: np.ndarray, case: Case) -> np.ndarray:
    """What a network is to see of a file's pixels, (H, W, C) -> (H, W, 3)"""
    if case.mode == "CMYK":
        return np.asarray(Image.frombytes("CMYK", pixels.shape[1::-1], pixels.tobytes()).convert("RGB"))
    return np.repeat(pixels[..., :1], 3, axis=2) if case.after in ("L", "LA") else pixels[..., :3]


def in_colours(rgb: np.ndarray, case: Case) -> np.ndarray:
    """(N, 3) -> (N, C), in the colours of a file"""
    if case.mode == "CMYK":
        return np.asarray(Image.fromarray(rgb[None]).convert("CMYK"))[0]
    return luminance(rgb)[:, None] if case.after in ("L", "LA") else rgb


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_turned_as_pillow_turns_images(orientation):
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3)
    image = Image.fromarray(stored)
    image.getexif()[ORIENTATION] = orientation
    shown = upright(stored, orientation)
    np.testing.assert_array_equal(shown, ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(as_stored(shown, orientation), stored)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_only_holes_change(case, tmp_path):
    rng = np.random.default_rng(1)
    for longest in (3, 40, 300):
        try_case(tmp_path, case, tuple(rng.integers(1, longest, 2)), invert, rng)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_only_holes_of_large_images_change(case, tmp_path):
    rng = np.random.default_rng(2)
    try_case(tmp_path, case, tuple(rng.integers(1, 2000, 2)), invert, rng)


class Network:
    """A network that fills every image twice, with other content in the hole: what it left there would show."""

    def __init__(self, inpainter: Inpainter) -> None:
        self.inpainter, self.network = inpainter, inpainter.network
        inpainter.network = self.run

    def run(self, *arrays: np.ndarray) -> list[np.ndarray]:
        outputs = self.network(*arrays)
        assert all(np.isfinite(output).all() for output in outputs)
        return outputs

    def __call__(self, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        inside, found = hole > 0, []
        for marker in (0, np.iinfo(image.dtype).max):
            marked = image.copy()
            marked[inside] = marker
            filled = self.inpainter(marked, hole)
            found.append((filled == marker).all(axis=-1))
        assert not (found[0] & found[1] & inside).any()
        return filled


@pytest.fixture(scope="module")
def network(mindir: Path) -> Network:
    return Network(Inpainter(mindir))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_network_fills_holes_and_nothing_else(case, network, tmp_path):
    rng = np.random.default_rng([27, CASES.index(case)])
    shape = tuple(np.rint(2000 ** rng.random(2)).astype(int))  # 1 to 2,000 pixels, large sides seldom
    try_case(tmp_path, case, shape, network, rng)
