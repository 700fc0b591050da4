"""Picture files as users have them: read in their own channels and depth, filled, written without a silent loss."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from ..data.images import luminance, open_image, turned
from ..errors import InputError
from . import sixteen_bits
from .sixteen_bits import CHANNELS, ORIENTATION

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WebP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
LONGEST_SIDE = {"JPEG": 65500, "WebP": 16383}
JPEG_QUALITY = 95
# exact: colours below full transparency are known pixels too. Here quality and method are effort: with less of it files
# are a tenth larger, and written ten times as fast.
WEBP_LOSSLESS = {"lossless": True, "exact": True, "quality": 20, "method": 0}
SRGB_GAMMA = 1 / 2.2  # what viewers assume where a PNG says nothing

# Pillow's mode of a file -> the one it is filled in: a filling has other colours than black and white, or a palette's.
MODES = {"1": "L", "P": "RGB", "PA": "RGBA"} | {mode: mode for mode in ("L", "LA", "RGB", "RGBA", "CMYK")}
WORDS = {"L": "gray", "LA": "gray with alpha", "RGB": "RGB", "RGBA": "RGB with alpha", "CMYK": "CMYK"}

# What a picture may need of a format, and what formats hold (as Pillow writes them).
TURNED, PROFILE, GRAY_PROFILE = "an orientation tag", "a colour profile", "a profile of gray"
COLOURS_8 = {"gray", "gray with alpha", "RGB", "RGB with alpha"}
COLOURS_16 = {f"16-bit {words}" for words in COLOURS_8}
HOLDS = {
    "PNG": {*COLOURS_8, *COLOURS_16, TURNED, PROFILE, GRAY_PROFILE},
    "JPEG": {"gray", "RGB", "CMYK", TURNED, PROFILE, GRAY_PROFILE},
    "WebP": {*COLOURS_8, TURNED, PROFILE},  # gray as RGB with three equal channels
    "TIFF": {*COLOURS_8, "CMYK", *COLOURS_16 - {"16-bit gray with alpha"}, TURNED, PROFILE, GRAY_PROFILE},
    "BMP": {"gray", "RGB"},
}

# Orientation -> axes that are reversed to show the picture, after rows and columns changed places from 5 on.
FLIPS = {1: (), 2: (1,), 3: (0, 1), 4: (0,), 5: (), 6: (1,), 7: (0, 1), 8: (0,)}


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels (H, W, ...) -> as viewers show them."""
    return np.flip(pixels.swapaxes(0, 1) if orientation >= 5 else pixels, FLIPS[orientation])


def as_stored(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The inverse of `upright`."""
    pixels = np.flip(pixels, FLIPS[orientation])
    return pixels.swapaxes(0, 1) if orientation >= 5 else pixels


@dataclass(frozen=True)
class Placement:
    """The (width, height) of the stored pixels, and the tag that says how viewers turn them."""

    stored: tuple[int, int]
    orientation: int = 1

    @property
    def shown(self) -> tuple[int, int]:
        return self.stored[::-1] if self.orientation >= 5 else self.stored

    @classmethod
    def of(cls, image: Image.Image) -> "Placement":
        """image: opened, not yet read, for Pillow turns TIFF files while reading and forgets the tag."""
        orientation = image.getexif().get(ORIENTATION, 1)
        stored = (image.tag_v2[256], image.tag_v2[257]) if isinstance(image, TiffImageFile) else image.size
        return cls(stored, orientation if orientation in FLIPS else 1)  # some cameras write 0


@dataclass(frozen=True)
class Header:
    """What a file says of its picture."""

    mode: str  # that it is filled in: L, LA, RGB, RGBA or CMYK
    depth: int  # bits per channel: 8 or 16
    place: Placement
    profile: bytes | None  # ICC
    key: int | tuple[int, ...] | None  # the transparent colour of a picture without alpha

    @property
    def colours(self) -> int:
        """Channels without alpha."""
        return len(self.mode.removesuffix("A"))

    def needs(self) -> list[str]:
        """What a format has to hold for the picture."""
        needs = ["16-bit " * (self.depth == 16) + WORDS[self.mode]]
        if self.place.orientation != 1:
            needs.append(TURNED)
        if self.profile:
            needs.append(GRAY_PROFILE if self.profile[16:20] == b"GRAY" else PROFILE)
        return needs


@dataclass(frozen=True)
class Picture:
    """pixels: uint8 or uint16 (H, W, C) in the file's own channels, alpha last; upright, as viewers show them."""

    header: Header
    pixels: np.ndarray

    @property
    def alpha(self) -> np.ndarray | None:
        """(H, W), or None where the picture has none."""
        return self.pixels[..., -1] if self.header.mode.endswith("A") else None

    def rgb(self) -> np.ndarray:
        """What a network sees: (H, W, 3), of the same depth."""
        colour = self.pixels[..., : self.header.colours]
        if self.header.mode == "CMYK":
            return np.asarray(_image(colour, "CMYK").convert("RGB"))
        return np.ascontiguousarray(np.repeat(colour, 3, axis=2) if self.header.colours == 1 else colour)

    def with_filling(self, rgb: np.ndarray, inside: np.ndarray) -> "Picture":
        """The picture, with the colours of `rgb` (H, W, 3) where `inside`, bool (H, W), is True. Alpha stays.

        Only what is filled is brought to the file's colours, so the rest cannot change.
        """
        if not inside.any():
            return self
        new = rgb[inside]  # (N, 3)
        if self.header.mode == "CMYK":
            new = np.asarray(Image.fromarray(new[None]).convert("CMYK"))[0]
        elif self.header.colours == 1:
            new = luminance(new)[:, None]
        pixels = self.pixels.copy()
        pixels[inside, : self.header.colours] = new
        return Picture(self.header, pixels)


def read_header(path: Path) -> Header:
    """Raises InputError for a file that is no picture, and for one whose pixels could not be written back."""
    with open_image(path) as image:
        return _header(path, image)


def _header(path: Path, image: Image.Image) -> Header:
    """image: opened, not yet read."""
    deep, mode = sixteen_bits.mode_of(image), image.mode  # before Placement, which may read a PNG to its end
    place = Placement.of(image)
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # MPO: a phone's photo, and extras
    if frames > 1:
        raise InputError(f"{path} holds {frames} pictures, all but one of which would be lost; save that one alone")
    # Pillow leaves out channels that are neither colour nor alpha.
    extra = isinstance(image, TiffImageFile) and image.tag_v2.get(CHANNELS, 1) > len(image.getbands())
    if extra or deep == "" or (deep is None and mode not in MODES):
        what = "channels beside its colours" if extra else f"pixels of a rare kind (Pillow's mode {mode})"
        raise InputError(f"{path} has {what}, which would be lost; save it as RGB with 8 or 16 bits per channel first")
    profile, gamma = image.info.get("icc_profile"), image.info.get("gamma", SRGB_GAMMA)
    if not profile and "srgb" not in image.info and abs(gamma - SRGB_GAMMA) > 0.01:
        raise InputError(f"{path} has a gamma of its own ({gamma:.3g}), which would be lost; give it a colour profile")
    mode, key = deep or MODES[mode], image.info.get("transparency")
    if key is not None and not mode.endswith("A"):
        mode += "A"
    return Header(mode, 16 if deep else 8, place, profile, key)


def read_picture(path: Path) -> Picture:
    """Raises InputError that names the file."""
    with open_image(path) as image:
        header = _header(path, image)
        image.load()  # also of 16 bits, for Pillow finds the damage that OpenCV passes over
        if header.depth == 16:
            pixels = upright(sixteen_bits.read_pixels(path, header.mode, header.key), header.place.orientation)
        else:
            image = turned(image)
            # By way of RGBA, the one mode to which Pillow brings every transparent colour.
            image = image.convert("RGBA") if header.mode == "LA" else image
            pixels = np.asarray(image.convert(header.mode))
    return Picture(header, pixels.reshape(*pixels.shape[:2], -1))


def check_output(path: Path, header: Header) -> None:
    """Raises InputError if the format of `path` cannot hold the picture, with the names of those that can."""
    target, needs = file_format(path), header.needs()
    lacking = [need for need in needs if need not in HOLDS[target]]
    if lacking:
        others = " or ".join(name for name, holds in HOLDS.items() if holds.issuperset(needs))
        raise InputError(f"{path}: {target} cannot hold {lacking[0]}; choose {others}")
    if max(header.place.stored) > LONGEST_SIDE.get(target, np.inf):
        raise InputError(f"{path}: a side of {target} has at most {LONGEST_SIDE[target]} pixels; choose PNG or TIFF")


def file_format(path: Path) -> str:
    """The format that a name ends in. Raises InputError."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: pictures are written as {' '.join(FORMATS)}; give a name that ends in one of them")
    return FORMATS[path.suffix.lower()]


def is_lossy(path: Path, quality: int) -> bool:
    target = file_format(path)
    return target == "JPEG" or (target == "WebP" and quality > 0)


def write_picture(picture: Picture, path: Path, quality: int = 0) -> None:
    """Write a file in the format of its name. quality: 1 to 100 for JPEG and WebP; 0: see JPEG_QUALITY, and lossless.

    What decides how the pixels look is written too: orientation and colour profile. The rest (place, time, a small
    picture of the original) is not.
    """
    target, header = file_format(path), picture.header
    pixels, orientation = as_stored(picture.pixels, header.place.orientation), header.place.orientation
    if header.depth == 16:
        write = {"PNG": sixteen_bits.write_png, "TIFF": sixteen_bits.write_tiff}[target]
        write(path, pixels, orientation, header.profile)
        return
    by_format: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": quality or JPEG_QUALITY, "subsampling": 0},  # colours as sharp as brightness
        "WebP": {"exact": True, "quality": quality} if quality else WEBP_LOSSLESS,
        "TIFF": {"compression": "tiff_lzw"},
    }
    options = dict(by_format.get(target, {}))
    if header.profile:
        options["icc_profile"] = header.profile
    if orientation != 1:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        options["exif"] = exif
    _image(pixels, header.mode).save(path, target, **options)


def _image(pixels: np.ndarray, mode: str) -> Image.Image:
    """uint8 (H, W, C) -> as Pillow has it."""
    height, width = pixels.shape[:2]
    return Image.frombytes(mode, (width, height), pixels.tobytes())
