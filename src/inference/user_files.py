"""Users' files, one after the other: read, filled, written, reported; a broken one does not stop the others."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from src.data.masks import read_weights
from src.errors import InputError
from src.files import staged
from src.inference.jobs import Job
from src.inference.picture_files import Picture, check_output, read_picture, upright, write_picture
from src.inference.report import Report
from src.progress import Progress

# picture: uint8 or uint16 (H, W, 3) RGB; hole: float32 (H, W) in [0, 1], how much of each pixel is to be filled
# -> the picture, filled
Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]

logger = logging.getLogger("inpainting")


@dataclass(frozen=True)
class Settings:
    """The options of that name in default_config.yaml."""

    mask_polarity: str = "white_hole"
    mask_edge: str = "hard"
    quality: int = 0


def fill_files(
    jobs: Sequence[Job], fill: Fill, settings: Settings, report: Report | None = None, many: bool = True
) -> dict[Job, str]:
    """Do all jobs; those that failed, with the reasons. Unless there are `many`, the first failure is raised instead.

    A file that turns out to be broken is named at once and left out. Raises InputError and OSError for what would stop
    every job, such as a full disk.
    """
    failures = {}
    with Progress(len(jobs), "Filling") as progress:
        for job in jobs:
            start = time.monotonic()
            try:
                before, hole = read_job(job, settings)
            except InputError as error:
                if not many:
                    raise
                failures[job] = str(error)
                progress.say(f"error: {error}")
            else:
                after = fill_picture(before, hole, fill)
                if hole.any() and before.alpha is not None and not before.alpha[hole > 0].any():
                    logger.warning(
                        f"{job.image} is transparent in its whole hole, and stays so: the filling cannot be seen."
                    )
                with staged(job.output.parent) as folder:
                    write_picture(after, folder / job.output.name, settings.quality)
                if report:
                    report.add(job, before, hole, after, time.monotonic() - start)
            progress.update()
    return failures


def read_job(job: Job, settings: Settings) -> tuple[Picture, np.ndarray]:
    """The picture and its hole, float32 (H, W) in [0, 1], both upright. Raises InputError that names a file.

    A mask of the size of the stored pixels, where that is not the size that viewers show, is turned with them. Any
    other was made from what a viewer shows, and so was one whose size fits both.
    """
    picture = read_picture(job.image)
    check_output(job.output, picture.header)
    hole = read_weights(job.mask, settings.mask_polarity, settings.mask_edge)
    place, size = picture.header.place, hole.shape[::-1]
    if size == place.stored != place.shown:
        hole = upright(hole, place.orientation)
    elif size != place.shown:
        raise InputError(f"{job.mask} has not the size of {job.image}; give another mask")
    return picture, hole


def fill_picture(picture: Picture, hole: np.ndarray, fill: Fill) -> Picture:
    """hole: float32 (H, W) in [0, 1], upright."""
    return picture.with_filling(fill(picture.rgb(), hole), hole > 0)
