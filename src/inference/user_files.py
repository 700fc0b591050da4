"""Pictures as users have them: matched with their masks, filled in their own channel layout, written without loss."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from src.data.images import check_headers, decode, list_images
from src.data.masks import check_masks, read_mask
from src.errors import InputError
from src.files import staged

# Pillow's mode of a file -> the one it is filled in. Pixels of other modes could not be written back as they were.
LAYOUTS = {"1": "L", "L": "L", "LA": "LA", "P": "RGB", "PA": "RGBA", "RGB": "RGB", "RGBA": "RGBA"}
ORIENTATION = 0x0112  # EXIF tag: how a viewer turns the stored pixels

logger = logging.getLogger("inpainting")


@dataclass(frozen=True)
class Job:
    """One picture to fill: three files."""

    image: Path
    mask: Path
    output: Path


def list_jobs(image: str, mask: str, output: str) -> list[Job]:
    """The jobs that three names of files or folders stand for.

    A folder's pictures are found at any depth. The mask of a picture has its name, whatever the suffix, at the same
    place below the mask folder; a single mask file serves all. Outputs in a folder are PNG files with the pictures'
    names. Raises InputError where something is missing or ambiguous.
    """
    many = Path(image).is_dir()
    images = by_name(image)
    if not many and not Path(output).is_dir():
        if Path(output).suffix.lower() != ".png":  # the one format that holds every layout, exactly, everywhere
            raise InputError(f"--output {output}: only PNG keeps known pixels exact; give a name in .png, or a folder")
        outputs = [Path(output)]
    else:
        outputs = [Path(output, f"{name}.png") for name in images]
    if Path(mask).is_dir():
        masks = by_name(mask)
        lacking = [path for name, path in images.items() if name not in masks]
        if lacking:
            raise InputError(f"{mask} has no mask for {lacking[0]} ({len(lacking)} of {len(images)} pictures lack one)")
    else:
        masks = dict.fromkeys(images, list_images(mask)[0])
    return [Job(path, masks[name], output) for (name, path), output in zip(images.items(), outputs, strict=True)]


def by_name(root: str) -> dict[str, Path]:
    """Pictures under `root` (or that one) by their path below it without suffix. Raises InputError if two share one."""
    folder = root if Path(root).is_dir() else Path(root).parent
    found = {}
    for path in list_images(root):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise InputError(f"{found[name]} and {path} have the same name; rename or remove one")
        found[name] = path
    return found


def check_jobs(jobs: Sequence[Job], mask_polarity: str) -> None:
    """Raises InputError for what would stop the run half-way, as far as headers tell; warns of odd masks."""
    inputs = {path.resolve() for job in jobs for path in (job.image, job.mask)}
    for job in jobs:
        if job.output.resolve() in inputs:
            raise InputError(f"{job.output} is an input; give another --output")
    check_headers([job.image for job in jobs])
    check_masks(sorted({job.mask for job in jobs}), mask_polarity)
    for job in jobs:
        with Image.open(job.image) as image, Image.open(job.mask) as mask:
            _check_layout(job.image, image)
            if image.size != mask.size:
                turned = image.getexif().get(ORIENTATION, 1) != 1
                raise InputError(
                    f"{job.image} is {image.width}x{image.height}, its mask {job.mask} {mask.width}x{mask.height}; "
                    f"give a mask of the picture's size{' as stored, before viewers turn it' if turned else ''}"
                )


def _check_layout(path: Path, image: Image.Image) -> None:
    """Raises InputError if the picture's pixels could not be written back as they were."""
    # Pillow cuts colours of 16 bits to 8 while reading; only the decoder's arguments tell.
    if image.mode.startswith(("I", "F")) or ";16" in repr(image.tile):
        raise InputError(f"{path} has more than 8 bits per channel, which would be lost; save it with 8 bits first")
    if image.mode not in LAYOUTS:
        raise InputError(f"{path} is in colour mode {image.mode}, which would be lost; save it as RGB first")


def fill_file(job: Job, fill: Callable[[np.ndarray, np.ndarray], np.ndarray], mask_polarity: str) -> None:
    """Do one job. fill: uint8 (H, W, 3) RGB and its hole, bool (H, W) -> uint8 (H, W, 3)."""
    picture, hole = read_layout(job.image), read_mask(job.mask, mask_polarity)
    filled = Image.fromarray(fill(np.asarray(picture.convert("RGB")), hole)).convert(picture.mode.removesuffix("A"))
    if picture.mode.endswith("A"):
        alpha = picture.getchannel("A")
        filled.putalpha(alpha)
        if hole.any() and not np.asarray(alpha)[hole].any():
            logger.warning(f"{job.image} is transparent in its whole hole, and stays so: the filling cannot be seen.")
    picture.paste(filled, mask=Image.fromarray(hole))
    with staged(job.output.parent) as folder:
        picture.save(folder / job.output.name, **_looks(picture))


def read_layout(path: Path) -> Image.Image:
    """The picture as L, LA, RGB or RGBA, whichever holds its pixels as they are."""
    with Image.open(path) as image:
        mode = LAYOUTS[image.mode]
        if "transparency" in image.info and not mode.endswith("A"):
            mode += "A"
    return decode(path).convert(mode)


def _looks(picture: Image.Image) -> dict:
    """What decides how a viewer shows the pixels. The rest (place, time, a small picture of the original) is left."""
    exif = Image.Exif()
    orientation = picture.getexif().get(ORIENTATION, 1)
    if orientation != 1:
        exif[ORIENTATION] = orientation
    return {"icc_profile": picture.info.get("icc_profile"), "exif": exif}
