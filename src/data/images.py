"""Images: find them, check them, read them, and bring them to the networks' size and range."""

import logging
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..errors import InputError
from .orientation import orientation_of, turned

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
SPLITS = {"train": "0", "val": "1", "test": "2"}  # the numbers of CelebA's list_eval_partition.txt
PNG = b"\x89PNG"  # what such a file begins with
# What images begin with, whatever their suffix. Not BMP and TIFF: too short, and what cameras' raw files begin with.
CONTENT = re.compile(
    rb"(?P<PNG>\x89PNG)|(?P<JPEG>\xff\xd8\xff)|(?P<GIF>GIF8)|(?P<WebP>RIFF.{4}WEBP)|(?P<AVIF>.{4}ftypavi)"
    rb"|(?P<HEIC>.{4}ftyp(?:hei|hev|mif|msf))|(?P<JPEG_XL>\0{3}\x0cJXL )",
    re.DOTALL,
)
NEWER = ("AVIF", "HEIC", "JPEG_XL")  # those of them that not every Pillow reads
END_MARKERS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}  # what a whole file has near its end

logger = logging.getLogger("inpainting")

# An image has 256 values, so its range is a table: torch's ToTensor and Normalize(0.5, 0.5) in float32, bit by bit.
NORMALISED = (np.arange(256, dtype=np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.5)

# Of red, green and blue in a gray image: ITU-R BT.601's luminance in parts of 2**16, as Pillow has it.
LUMINANCE = np.array([19595, 38470, 7471], np.uint32)


def list_images(root: str | Path) -> list[Path]:
    """Images at any depth below `root`, sorted by relative path; links are followed, hidden names are not.

    A file is an image by its suffix, or by what it begins with (CONTENT), so that none is left out without a word. A
    single file is its own list. Raises InputError if there is nothing to read.
    """
    root = Path(root)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise InputError(f"{root} does not exist; give an image or a folder of images")

    paths = [path for path in _files_below(root) if path.name.lower().endswith(IMAGE_SUFFIXES) or content_of(path)]
    if not paths:
        raise InputError(f"{root} holds no images ({' '.join(IMAGE_SUFFIXES)}); check the path")
    return sorted(paths, key=lambda path: path.relative_to(root).as_posix())


def list_split(root: str | Path, anno_path: str | Path, split: str) -> list[Path]:
    """The images of one split (train, val or test), in the order of CelebA's partition file `anno_path`.

    Each line of it is "name number"; the files lie under `root` or `root/img_align_celeba`. With no partition file,
    every image under `root`. Raises InputError that names the line of a missing file or a malformed entry.
    """
    if not anno_path:
        return list_images(root)
    if split not in SPLITS:
        raise InputError(f"split '{split}' is unknown; choose one of {', '.join(SPLITS)}")
    root, anno_path = Path(root), Path(anno_path)
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; give the folder that holds the images of {anno_path}")
    try:
        lines = anno_path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{anno_path} cannot be read as a partition file: {reason(error, anno_path)}") from error

    paths = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, _, part = line.strip().rpartition(" ")
        if not name or part not in SPLITS.values():
            raise InputError(f"{anno_path}, line {number}: expected 'name 0|1|2', found '{line.strip()[:80]}'")
        if part == SPLITS[split]:
            folders = (root, root / "img_align_celeba")
            candidates = [folder / form for folder in folders for form in spellings(name.strip())]
            path = next((path for path in candidates if path.is_file()), None)
            if path is None:
                raise InputError(f"{anno_path}, line {number}: {name.strip()} is not under {root}")
            paths.append(path)
    if not paths:
        raise InputError(f"{anno_path} names no {split} images (number {SPLITS[split]})")
    return paths


def spellings(name: str) -> tuple[str, ...]:
    """A name as it is, with its accents composed, and with them decomposed, as some systems store them."""
    return (name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))


def check_headers(paths: Sequence[Path], center_crop: int = 0) -> None:
    """Open every file, so that a broken one names itself before a long run and not in the middle of it.

    Headers are read, and the end of JPEG and PNG files; only a file without its end marker is decoded to decide.
    Raises InputError with the number of broken files and the first three, also for images smaller than the crop.
    Warns where stored images are not as viewers show them.
    """
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda path: _look_at(path, center_crop), paths))
    broken = [f"{path} ({why})" for path, (why, _) in zip(paths, found, strict=True) if why]
    if broken:
        listed = ", ".join(broken[:3]) + (", ..." if len(broken) > 3 else "")
        raise InputError(f"{len(broken)} of {len(paths)} images cannot be used, remove or replace them: {listed}")
    tagged = [path for path, (_, is_turned) in zip(paths, found, strict=True) if is_turned]
    if tagged:
        logger.warning(
            f"{len(tagged)} of {len(paths)} images, such as {tagged[0]}, are turned as viewers show them, by their "
            "orientation tags (EXIF), and masks are taken so: docs/inference.md, Masks."
        )


@contextmanager
def open_image(path: str | Path) -> Iterator[Image.Image]:
    """Image.open, with an InputError that names the file for all that fails in it and in the block.

    The checksums of a PNG are verified first: Pillow decodes pixels without a look at them. By way of a file object:
    given a name, Pillow (13.0) maps an uncompressed TIFF into memory, and confuses its sides if its orientation tag
    lays it on one of them.
    """
    try:
        with open(path, "rb") as file:
            if file.read(4) == PNG:
                with Image.open(file) as image:
                    if image.tile:  # else loading says that there are no pixels
                        image.verify()
            with Image.open(file) as image:
                yield image
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, zlib.error and others
        raise InputError(f"{path} cannot be read as an image: {reason(error, path)}") from error


def read_rgb(path: str | Path) -> Image.Image:
    """The image as 8-bit RGB: gray is repeated, alpha dropped, 16 bits cut to 8. Raises InputError."""
    return decode(path).convert("RGB")


def decode(path: str | Path) -> Image.Image:
    """The image with 8 bits per channel in whatever layout it has, upright. Raises InputError that names the file."""
    with open_image(path) as image:
        image.load()
        return _to_eight_bits(turned(image))


def pages(image: Image.Image) -> int:
    """Images in a file. Of a phone's photo with extras (MPO) the photo alone counts."""
    return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)


def prepare_image(image: Image.Image, image_size: int, center_crop: int = 0) -> np.ndarray:
    """RGB image -> uint8 (image_size, image_size, 3), the aspect ratio not kept: what the published weights saw.

    `center_crop` > 0 first cuts a square of that many pixels. Raises InputError if the image is smaller.
    """
    image = _central_square(image, center_crop)
    return np.asarray(image.resize((image_size, image_size), Image.Resampling.BILINEAR))


def _central_square(image: Image.Image, center_crop: int) -> Image.Image:
    if not center_crop:
        return image
    width, height = image.size
    if center_crop > min(width, height):
        raise InputError(f"center_crop {center_crop} does not fit into an image of {width}x{height} pixels")
    left, top = round((width - center_crop) / 2), round((height - center_crop) / 2)
    return image.crop((left, top, left + center_crop, top + center_crop))


def random_window(
    image: Image.Image, image_size: int, scale: float, rng: np.random.Generator, center_crop: int = 0
) -> np.ndarray:
    """RGB image -> uint8 (image_size, image_size, 3): a square of it, mirrored every second time.

    The side of the square is image_size times a factor between 1 and `scale` (log-uniform), or the image's shorter
    side where that is less. The aspect ratio is kept. Of two such squares the one with more detail is taken: half of
    most photos is sky, water or blur, which a smooth filling has right already.
    """
    image = _central_square(image, center_crop)
    windows = []
    for _ in range(2):
        side = min(round(image_size * scale ** rng.uniform()), *image.size)
        left, top = (int(rng.integers(length - side + 1)) for length in image.size)
        window = image.crop((left, top, left + side, top + side))
        windows.append(np.asarray(window.resize((image_size, image_size), Image.Resampling.BILINEAR)))
    window = max(windows, key=_detail)
    return window[:, ::-1] if rng.integers(2) else window


def _detail(image: np.ndarray) -> int:
    """The sum of all steps from pixel to pixel, down and to the right."""
    values = image.astype(np.int16)
    return int(np.abs(np.diff(values, axis=0)).sum() + np.abs(np.diff(values, axis=1)).sum())


def load_image(path: str | Path, image_size: int, center_crop: int = 0) -> np.ndarray:
    """File -> uint8 (image_size, image_size, 3), as `prepare_image`. Raises InputError that names the file."""
    return _from_file(path, prepare_image, image_size, center_crop)


def load_window(
    path: str | Path, image_size: int, scale: float, rng: np.random.Generator, center_crop: int = 0
) -> np.ndarray:
    """File -> uint8 (image_size, image_size, 3), as `random_window`. Raises InputError that names the file."""
    return _from_file(path, random_window, image_size, scale, rng, center_crop)


def _from_file(path: str | Path, prepare: Callable[..., np.ndarray], *args: object) -> np.ndarray:
    image = read_rgb(path)
    try:
        return prepare(image, *args)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def normalise(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> float32 (3, H, W) in [-1, 1]."""
    return np.ascontiguousarray(cv2.LUT(image, NORMALISED).transpose(2, 0, 1))


def to_uint8(image: np.ndarray) -> np.ndarray:
    """float (3, H, W) in [-1, 1], clipped -> uint8 (H, W, 3), rounded; the inverse of `normalise`."""
    scaled = np.clip((image.transpose(1, 2, 0) + 1) / 2, 0, 1) * 255 + 0.5
    return scaled.astype(np.uint8)


def luminance(colours: np.ndarray) -> np.ndarray:
    """RGB, uint8 or uint16 (…, 3) -> gray, the same type (…); of 8 bits just what Pillow's convert("L") makes of it."""
    return ((colours.astype(np.uint32) @ LUMINANCE + 2**15) >> 16).astype(colours.dtype)


def _files_below(root: Path) -> Iterator[Path]:
    """Files at any depth, hidden ones and hidden folders left out. A folder that a link puts into itself is one."""
    above: dict[str, frozenset[str]] = {str(root): frozenset()}  # by folder: those on the way to it, without links
    for folder, subfolders, names in os.walk(root, followlinks=True):
        way = above.pop(folder) | {os.path.realpath(folder)}
        inside = {name: os.path.join(folder, name) for name in subfolders if not name.startswith(".")}
        subfolders[:] = [name for name, path in inside.items() if os.path.realpath(path) not in way]
        above |= {inside[name]: way for name in subfolders}
        yield from (Path(folder, name) for name in names if not name.startswith("."))


def content_of(path: Path) -> str:
    """The kind of image that a file begins as, whatever its name, or nothing."""
    if not path.is_file():  # a pipe would be waited for
        return ""
    try:
        with open(path, "rb") as file:
            found = CONTENT.match(file.read(16))
    except OSError:
        return ""
    return found.lastgroup or "" if found else ""


def _to_eight_bits(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit gray: Pillow's own conversion saturates instead of scaling
        values = np.clip(np.asarray(image), 0, 65535) >> 8
        return Image.fromarray(values.astype(np.uint8))
    if image.mode == "F":
        raise ValueError("its pixels are floating point numbers; save it with 8 bits per channel")
    return image.convert("RGBA") if image.mode == "P" else image


def fault(path: Path, center_crop: int = 0) -> str:
    """Why the file cannot be used, or nothing."""
    return _look_at(path, center_crop)[0]


def _look_at(path: Path, center_crop: int) -> tuple[str, bool]:
    """Why the file cannot be used, or nothing; and do viewers turn the image?"""
    try:
        with Image.open(path) as image:
            width, height = image.size
            marker = END_MARKERS.get(image.format or "", b"")
            # A PNG's tags may be behind its pixels, where they are not looked for.
            is_turned = (image.format != "PNG" or "exif" in image.info) and orientation_of(image) != 1
        if center_crop > min(width, height):
            return f"{width}x{height} pixels, smaller than center_crop {center_crop}", is_turned
        if not _ends_with(path, marker):
            decode(path)  # valid files may carry bytes behind their end, so only the decoder can tell
    except Exception as error:
        return reason(error, path), False
    return "", is_turned


def _ends_with(path: Path, marker: bytes) -> bool:
    with open(path, "rb") as file:
        file.seek(-min(64, path.stat().st_size), os.SEEK_END)
        return marker in file.read()


def reason(error: Exception, path: str | Path) -> str:
    """One line for the user from whatever reading a file raised."""
    if isinstance(error, InputError):
        error = error.__cause__
    if isinstance(error, Image.UnidentifiedImageError):
        kind = content_of(Path(path))
        if kind in NEWER:
            return f"{kind}, which Pillow does not read here; save it as PNG or JPEG"
        return f"damaged, though it begins as {kind}" if kind else "not an image file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, Image.DecompressionBombError) and Image.MAX_IMAGE_PIXELS:
        return f"more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller"
    text = " ".join(str(error).split()) or type(error).__name__
    return "image file is truncated" if text == "Truncated File Read" else text  # one of Pillow's two ways to say it
