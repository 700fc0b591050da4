"""Images with 16 bits per channel. Pillow writes gray ones and cuts colours to 8 bits.

OpenCV reads them. It would drop orientation and colour profile on writing, so tifffile writes TIFF, and PNG, whose
layout is simple, is written here.
"""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image, PngImagePlugin
from PIL.TiffImagePlugin import TiffImageFile

from ..data.orientation import ORIENTATION
from ..errors import InputError

# TIFF: (photometric interpretation, channels, kinds of extra channels) -> mode. Gray whose zero is white, signed or
# floating-point numbers, planes one after the other and alpha multiplied into the colours are not among them.
TIFF_MODES: dict[tuple, str] = {(1, 1, ()): "L", (2, 3, ()): "RGB", (2, 4, (2,)): "RGBA"}
PNG_MODES = {"I": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA"}  # by the beginning of Pillow's raw mode
PNG_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels
BITS, PHOTOMETRIC, CHANNELS, PLANES, EXTRA, NUMBERS = 258, 262, 277, 284, 338, 339  # TIFF tags
PROFILE = 34675


def mode_of(image: Image.Image) -> str | None:
    """L, LA, RGB or RGBA; None if the image has not 16 bits per channel, "" if it has but could not be kept.

    image: opened, not yet read.
    """
    if isinstance(image, TiffImageFile):
        tags = image.tag_v2
        if set(tags.get(BITS, (1,))) != {16}:
            return None
        plain = set(tags.get(NUMBERS, (1,))) == {1} and tags.get(PLANES, 1) == 1
        return TIFF_MODES.get((tags.get(PHOTOMETRIC), tags.get(CHANNELS, 1), tags.get(EXTRA, ())), "") if plain else ""
    # The tile is all that tells, for Pillow's mode is that of 8 bits.
    if isinstance(image, PngImagePlugin.PngImageFile) and ";16" in repr(image.tile):
        return PNG_MODES.get(str(image.tile[0][3]).partition(";")[0], "")
    return None


def read_pixels(path: Path, mode: str, key: int | tuple[int, ...] | None = None) -> np.ndarray:
    """uint16 (H, W, C) as stored. key: the colour that is transparent, in a PNG without alpha whose `mode` has one.

    Raises InputError if OpenCV cannot read what Pillow could.
    """
    pixels = cv2.imdecode(np.frombuffer(_not_turned(path.read_bytes()), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise InputError(f"{path} cannot be read with 16 bits per channel; save it with 8, or as another kind of file")
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    colours = len(mode.removesuffix("A"))
    if mode.endswith("A") and key is not None:
        alpha = np.where((pixels[..., colours - 1 :: -1] == key).all(axis=-1, keepdims=True), 0, 65535)
    else:
        alpha = pixels[..., 3:]
    colour = pixels[..., 2::-1] if colours == 3 else pixels[..., :1]  # OpenCV's order is blue, green, red
    return np.concatenate([colour, alpha], axis=-1, dtype=np.uint16, casting="unsafe") if mode.endswith("A") else colour


def _not_turned(data: bytes) -> bytes:
    """The file without a TIFF's orientation, by which OpenCV turns images, and fails if sides change places."""
    if data[:2] not in (b"II", b"MM"):
        return data
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        tag, upright = tiff.pages[0].tags.get(ORIENTATION), struct.pack(f"{tiff.byteorder}H", 1)
    if tag is None:
        return data
    return data[: tag.valueoffset] + upright + data[tag.valueoffset + 2 :]


def write_png(path: Path, pixels: np.ndarray, orientation: int, profile: bytes | None) -> None:
    """pixels: uint16 (H, W, 1 to 4)."""
    height, width, channels = pixels.shape
    rows = np.ascontiguousarray(pixels, ">u2").view(np.uint8).reshape(height, -1)
    differences = rows.copy()  # to the pixel on the left (PNG's filter 1), which compress better
    differences[:, 2 * channels :] -= rows[:, : -2 * channels]
    header = struct.pack(">IIBBBBB", width, height, 16, PNG_COLOUR_TYPES[channels], 0, 0, 0)
    chunks = [(b"IHDR", header)]
    if profile:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile)))
    if orientation != 1:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        chunks.append((b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    chunks += [(b"IDAT", zlib.compress(np.insert(differences, 0, 1, axis=1).tobytes())), (b"IEND", b"")]
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for name, data in chunks:
            PngImagePlugin.putchunk(file, name, data)


def write_tiff(path: Path, pixels: np.ndarray, orientation: int, profile: bytes | None) -> None:
    """pixels: uint16 (H, W, C): gray, RGB, or RGB with alpha."""
    channels = pixels.shape[2]
    tags: list[tuple[int, str, int, Any, bool]] = [(ORIENTATION, "H", 1, orientation, True)]
    if profile:
        tags.append((PROFILE, "B", len(profile), profile, True))
    tifffile.imwrite(
        path,
        pixels[..., 0] if channels == 1 else pixels,
        photometric="minisblack" if channels == 1 else "rgb",
        extrasamples=["unassalpha"] if channels == 4 else None,
        compression="zlib",
        predictor=True,
        extratags=tags,
        metadata=None,
        software=False,
    )
