"""Image files as users have them: read in their own channels and depth, filled, written without a silent loss."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from ..data.images import luminance, open_image, pages
from ..data.orientation import ORIENTATION, Placement, as_stored, turned, upright
from ..errors import InputError
from . import sixteen_bits
from .sixteen_bits import CHANNELS

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jfif": "JPEG",
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
# What viewers assume where a PNG says nothing: gAMA; white, red, green and blue of cHRM; cICP.
SRGB_GAMMA = 1 / 2.2
SRGB_PRIMARIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
SRGB_CICP = (1, 13, 0, 1)

# Pillow's mode of a file -> the one it is filled in: a filling has other colours than black and white, or a palette's.
MODES = {"1": "L", "P": "RGB", "PA": "RGBA"} | {mode: mode for mode in ("L", "LA", "RGB", "RGBA", "CMYK")}
WORDS = {"L": "gray", "LA": "gray with alpha", "RGB": "RGB", "RGBA": "RGB with alpha", "CMYK": "CMYK"}

# What an image may need of a format, and what formats hold (as Pillow writes them).
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


@dataclass(frozen=True)
class Header:
    """What a file says of its image."""

    mode: str  # that it is filled in: L, LA, RGB, RGBA or CMYK
    depth: int  # bits per channel: 8 or 16
    place: Placement
    profile: bytes | None  # ICC
    key: int | tuple[int, ...] | None  # the transparent colour of an image without alpha

    @property
    def colours(self) -> int:
        """Channels without alpha."""
        return len(self.mode.removesuffix("A"))

    def needs(self) -> list[str]:
        """What a format has to hold for the image."""
        needs = ["16-bit " * (self.depth == 16) + WORDS[self.mode]]
        if self.place.orientation != 1:
            needs.append(TURNED)
        if self.profile:
            needs.append(GRAY_PROFILE if self.profile[16:20] == b"GRAY" else PROFILE)
        return needs


@dataclass(frozen=True)
class UserImage:
    """pixels: uint8 or uint16 (H, W, C) in the file's own channels, alpha last; upright, as viewers show them."""

    header: Header
    pixels: np.ndarray

    @property
    def alpha(self) -> np.ndarray | None:
        """(H, W), or None where the image has none."""
        return self.pixels[..., -1] if self.header.mode.endswith("A") else None

    def rgb(self) -> np.ndarray:
        """What a network sees: (H, W, 3), of the same depth."""
        colour = self.pixels[..., : self.header.colours]
        if self.header.mode == "CMYK":
            return np.asarray(_image(colour, "CMYK").convert("RGB"))
        return np.ascontiguousarray(np.repeat(colour, 3, axis=2) if self.header.colours == 1 else colour)

    def with_filling(self, rgb: np.ndarray, inside: np.ndarray) -> "UserImage":
        """The image, with the colours of `rgb` (H, W, 3) where `inside`, bool (H, W), is True. Alpha stays.

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
        return UserImage(self.header, pixels)


def read_header(path: Path) -> Header:
    """Raises InputError for a file that is no image, and for one whose pixels could not be written back."""
    with open_image(path) as image:
        return _header(path, image)


def _header(path: Path, image: Image.Image) -> Header:
    """image: opened, not yet read."""
    if image.format == "AVIF":
        raise InputError(f"{path} is AVIF, of whose depth and colours too little is known here; save it as PNG first")
    deep, mode = sixteen_bits.mode_of(image), image.mode  # before Placement, which may read a PNG to its end
    place = Placement.of(image)
    if pages(image) > 1:
        raise InputError(f"{path} holds {pages(image)} images, all but one of which would be lost; save that one alone")
    # Pillow leaves out channels that are neither colour nor alpha.
    extra = isinstance(image, TiffImageFile) and image.tag_v2.get(CHANNELS, 1) > len(image.getbands())
    if extra or deep == "" or (deep is None and mode not in MODES):
        what = "channels beside its colours" if extra else f"pixels of a rare kind (Pillow's mode {mode})"
        raise InputError(f"{path} has {what}, which would be lost; save it as RGB with 8 or 16 bits per channel first")
    profile = image.info.get("icc_profile")
    if own := _own_colours(path, image):
        raise InputError(f"{path} has {own}, which would be lost; give it a colour profile instead")
    mode, key = deep or MODES[mode], image.info.get("transparency")
    if key is not None and not mode.endswith("A"):
        mode += "A"
    return Header(mode, 16 if deep else 8, place, profile, key)


def _own_colours(path: Path, image: Image.Image) -> str:
    """What a file says of its colours that no output would: viewers would show them as others."""
    cicp = tuple(_png_chunk(path, b"cICP")) if image.format == "PNG" else ()  # counts before all others
    if cicp:
        return f"a colour space of its own (cICP {cicp})" if cicp != SRGB_CICP else ""
    if image.info.get("icc_profile") or "srgb" in image.info:
        return ""
    gamma, primaries = image.info.get("gamma", SRGB_GAMMA), image.info.get("chromaticity", SRGB_PRIMARIES)
    if abs(gamma - SRGB_GAMMA) > 0.01:
        return f"a gamma of its own ({gamma:.3g})"
    return "" if np.allclose(primaries, SRGB_PRIMARIES, rtol=0, atol=0.01) else "primaries of its own (cHRM)"


def _png_chunk(path: Path, name: bytes) -> bytes:
    """A chunk in front of the pixels that Pillow does not read; nothing where there is none."""
    with open(path, "rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
            content = file.read(int.from_bytes(head[:4], "big") + 4)[:-4]  # its checksum follows
            if head[4:] == name:
                return content
    return b""


def read_image(path: Path) -> UserImage:
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
    return UserImage(header, pixels.reshape(*pixels.shape[:2], -1))


def check_output(path: Path, header: Header) -> None:
    """Raises InputError if the format of `path` cannot hold the image, with the names of those that can."""
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
        raise InputError(
            f"{path}: images are written as {' '.join(FORMATS)}; give a name that ends in one of them, "
            "or --output_format"
        )
    return FORMATS[path.suffix.lower()]


def is_lossy(path: Path, quality: int) -> bool:
    target = file_format(path)
    return target == "JPEG" or (target == "WebP" and quality > 0)


def write_image(image: UserImage, path: Path, quality: int = 0) -> None:
    """Write a file in the format of its name. quality: 1 to 100 for JPEG and WebP; 0: see JPEG_QUALITY, and lossless.

    What decides how the pixels look is written too: orientation and colour profile. The rest (place, time, a small
    image of the original) is not.
    """
    target, header = file_format(path), image.header
    pixels, orientation = as_stored(image.pixels, header.place.orientation), header.place.orientation
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
