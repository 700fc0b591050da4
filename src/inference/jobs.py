"""Which images are to be filled, with which masks, into which files: matched by name, and checked beforehand."""

import logging
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.images import fault, list_images, open_image
from ..data.masks import evenly_spaced, read_mask_gray, warn_of_odd_masks
from ..data.orientation import Placement
from ..errors import InputError
from .image_files import (
    FORMATS,
    check_output,
    file_format,
    is_lossy,
    read_header,
)

SUFFIXES = {"jpg": ".jpg", "png": ".png", "webp": ".webp", "tiff": ".tif", "bmp": ".bmp"}  # of --output_format

logger = logging.getLogger("inpainting")


@dataclass(frozen=True)
class Job:
    """One image to fill: three files. An image of a folder may lack its mask."""

    image: Path
    mask: Path | None
    output: Path


def list_jobs(image: str, mask: str, output: str, output_format: str = "", quality: int = 0) -> list[Job]:
    """The jobs that three names of files or folders stand for.

    A folder's images are found at any depth. The mask of an image has its name, whatever the suffix, at the same
    place below the mask folder; a single mask file serves all. Outputs in a folder have the images' names, with
    another suffix where `output_format` (one of SUFFIXES, or "") asks for another format. Raises InputError where
    something is missing or ambiguous, and for a `quality` that no output has.
    """
    root = Path(image) if Path(image).is_dir() else Path(image).parent
    images = list_images(image)
    if Path(image).is_dir():  # what an earlier run wrote below the images is not among them
        below = Path(output).resolve()
        images = [path for path in images if below == root.resolve() or below not in path.resolve().parents]
    if Path(image).is_dir() or Path(output).is_dir():
        outputs = [Path(output, _renamed(path.relative_to(root), output_format)) for path in images]
    else:
        outputs = [Path(output)]
        found = file_format(outputs[0])
        if output_format and found != FORMATS[SUFFIXES[output_format]]:
            raise InputError(f"--output {output} is not a name for --output_format {output_format}; leave one out")
    formats = {FORMATS.get(path.suffix.lower()) for path in outputs}
    if quality and not formats & {"JPEG", "WebP"}:
        raise InputError(f"--quality {quality}: no output is JPEG or WebP, the formats that have it; leave it out")
    _refuse_doubles(images, outputs)

    masks = masks_by_name(mask) if Path(mask).is_dir() else {}
    whole = None if Path(mask).is_dir() else list_images(mask)[0]
    names = [_name(path, root) for path in images]
    return [
        Job(path, whole or masks.get(name), output) for path, name, output in zip(images, names, outputs, strict=True)
    ]


def _name(path: Path, root: Path) -> str:
    """A path below `root`, without suffix, however its accents are spelt."""
    return unicodedata.normalize("NFC", path.relative_to(root).with_suffix("").as_posix())


def _renamed(path: Path, output_format: str) -> Path:
    suffix = SUFFIXES.get(output_format, path.suffix)
    return path if FORMATS.get(path.suffix.lower()) == FORMATS.get(suffix) else path.with_suffix(suffix)


def masks_by_name(root: str) -> dict[str, Path]:
    """Images under `root` by their path below it without suffix. Raises InputError if two share one."""
    found: dict[str, Path] = {}
    for path in list_images(root):
        name = _name(path, Path(root))
        if name in found:
            raise InputError(f"{found[name]} and {path} have the same name; rename or remove one")
        found[name] = path
    return found


def _refuse_doubles(images: Iterable[Path], outputs: Iterable[Path]) -> None:
    writers: dict[Path, Path] = {}
    for image, output in zip(images, outputs, strict=True):
        if output in writers:
            raise InputError(f"{writers[output]} and {image} would both be written to {output}; rename one")
        writers[output] = image


def refuse_inputs(outputs: Iterable[Path], jobs: Sequence[Job]) -> None:
    """Raises InputError if an output is an image or mask of the jobs, under whatever name."""
    inputs = {path.resolve() for job in jobs for path in (job.image, job.mask) if path}
    for output in outputs:
        if output.resolve() in inputs:
            raise InputError(f"{output} is an input; give another --output")


def find_faults(jobs: Sequence[Job]) -> dict[Job, str]:
    """Why jobs cannot be done, as far as can be told without reading every pixel."""
    masks = {job.mask for job in jobs if job.mask}  # each is looked at once, for one may serve all images
    with ThreadPoolExecutor() as pool:
        sizes = dict(zip(masks, pool.map(_size_or_fault, masks), strict=True))
        found = pool.map(lambda job: _fault(job, sizes.get(job.mask)), jobs)
        return {job: why for job, why in zip(jobs, found, strict=True) if why}


def _size_or_fault(mask: Path) -> tuple[int, int] | InputError:
    """(width, height) as viewers show it, or why the mask cannot be used."""
    try:
        _refuse_broken(mask)
        with open_image(mask) as image:
            return Placement.of(image).shown
    except InputError as error:
        return error


def _fault(job: Job, mask: tuple[int, int] | InputError | None) -> str:
    """mask: what is known of it; None: there is none"""
    try:
        if mask is None:
            raise InputError(f"{job.image} has no mask of its name; add one")
        header = read_header(job.image)
        _refuse_broken(job.image)
        if isinstance(mask, InputError):
            raise mask
        stored, shown = header.place.stored, header.place.shown
        if mask not in (stored, shown):
            sizes = " or ".join(f"{width}x{height}" for width, height in sorted({stored, shown}))
            raise InputError(
                f"{job.image} is {sizes}, its mask {job.mask} {mask[0]}x{mask[1]}; give a mask of the image's size"
            )
        check_output(job.output, header)
    except InputError as error:
        return str(error)
    return ""


def _refuse_broken(path: Path) -> None:
    if why := fault(path):
        raise InputError(f"{path} cannot be read as an image: {why}")


def warn_of_oddities(jobs: Sequence[Job], mask_polarity: str, mask_edge: str, quality: int) -> None:
    """Say once what can be done but may not be meant."""
    masks = evenly_spaced(sorted({job.mask for job in jobs if job.mask}))
    warn_of_odd_masks(_readable(masks), mask_polarity, gray_is_meant=mask_edge == "soft")
    lossy = [job.output for job in jobs if is_lossy(job.output, quality)]
    if lossy:
        logger.warning(
            f"{lossy[0].name}{f' and {len(lossy) - 1} more are' if len(lossy) > 1 else ' is'} written with losses, so "
            f"known pixels cannot stay exact; PNG, TIFF, BMP, and WebP without --quality keep them."
        )


def _readable(masks: Iterable[Path]) -> Iterator[tuple[Path, np.ndarray]]:
    for path in masks:
        with suppress(InputError):  # whoever fills its image names it
            yield path, read_mask_gray(path)
