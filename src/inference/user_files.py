"""Users' files: checked, read, filled, written, reported; a broken one does not stop the others."""

import logging
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..data.masks import read_weights
from ..errors import InputError
from ..files import make_folder, refuse_existing, staged
from ..progress import Progress
from .image_files import UserImage, check_output, read_image, write_image
from .jobs import Job, find_faults, list_jobs, refuse_inputs, warn_of_oddities
from .report import Report

# Pairs of image and hole -> the images, filled, in that order; it may read some ahead, as Inpainter.fill_all does
# image: uint8 or uint16 (H, W, 3) RGB; hole: float32 (H, W) in [0, 1], how much of each pixel is to be filled
FillAll = Callable[[Iterable[tuple[np.ndarray, np.ndarray]]], Iterable[np.ndarray]]

NAMED = 10  # images that one line names

logger = logging.getLogger("inpainting")


@dataclass(frozen=True)
class Settings:
    """The options of that name in default_config.yaml."""

    mask_polarity: str
    mask_edge: str
    quality: int
    output_format: str = ""
    overwrite: bool = False
    skip_existing: bool = False
    report: str = ""


def fill_user_files(image: str, mask: str, output: str, settings: Settings, load: Callable[[int], FillAll]) -> int:
    """What infer.py does, and run.py of a package: check files, fill them, say what was done.

    image, mask, output: names of files or folders, see list_jobs
    load: gives the network, once it is known how many images it will fill
    -> exit code: 1 if some images could not be filled, else 0

    Raises InputError and OSError for what stops all of them.
    """
    if settings.skip_existing and settings.overwrite:
        raise InputError("--skip_existing keeps what --overwrite replaces; leave one of them out")
    if settings.report and Path(settings.report).suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--report {settings.report}: the report is a page; give a name that ends in .html")
    # From twice as many pixels on, Pillow refuses images; up to there they are large, and no attack.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    listed = list_jobs(image, mask, output, settings.output_format, settings.quality)
    jobs = [job for job in listed if not (settings.skip_existing and job.output.is_file())]
    report_path = Path(settings.report)
    outputs = [job.output for job in jobs] + [report_path] * bool(settings.report)
    refuse_inputs(outputs, listed)
    refuse_existing(outputs, settings.overwrite)

    faults = find_faults(jobs)
    if faults and len(faults) == len(jobs):
        first, *others = faults.values()
        raise InputError(f"{first}{f'; nor can the other {len(others)} images be filled' if others else ''}")
    skipped = f" ({len(listed) - len(jobs)} were there already)" * settings.skip_existing
    if not jobs:
        print(f"nothing to fill{skipped}: {output}")
        return 0
    sound = [job for job in jobs if job not in faults]
    warn_of_oddities(sound, settings.mask_polarity, settings.mask_edge, settings.quality)
    fill_all = load(len(sound))
    for folder in sorted({path.parent for path in outputs}):
        make_folder(folder)
    for line in faults.values():
        print(f"error: {line}", file=sys.stderr)

    start = time.monotonic()
    report = Report() if settings.report else None
    failures = faults | fill_files(sound, fill_all, settings, report, many=Path(image).is_dir())
    if report:
        with staged(report_path.parent) as folder:
            report.write(folder / report_path.name, failures)
    done, total = len(jobs) - len(failures), "1 image" if len(jobs) == 1 else f"{len(jobs)} images"
    count = f"{done} of {total}" if failures else total
    print(f"filled {count} in {time.monotonic() - start:.1f} s{skipped}: {output}")
    if failures:
        print(f"{count} filled; {len(failures)} could not be: {named(list(failures))}", file=sys.stderr)
    return 1 if failures else 0


def named(jobs: Sequence[Job]) -> str:
    """The first images' names, and how many more there are."""
    more = f" and {len(jobs) - NAMED} more" if len(jobs) > NAMED else ""
    return ", ".join(str(job.image) for job in jobs[:NAMED]) + more


def fill_files(
    jobs: Sequence[Job], fill_all: FillAll, settings: Settings, report: Report | None = None, many: bool = True
) -> dict[Job, str]:
    """Do all jobs; those that failed, with the reasons. Unless there are `many`, the first failure is raised instead.

    A file that turns out to be broken is named at once and left out. Raises InputError and OSError for what would stop
    every job, such as a full disk.
    """
    failures: dict[Job, str] = {}
    unchanged: list[Job] = []
    waiting: deque[tuple[Job, UserImage, np.ndarray]] = deque()
    start = time.monotonic()
    with Progress(len(jobs), "Filling") as progress:

        def read() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for job in jobs:
                try:
                    before, hole = read_job(job, settings)
                except InputError as error:
                    if not many:
                        raise
                    failures[job] = str(error)
                    progress.say(f"error: {error}")
                    progress.update()
                else:
                    waiting.append((job, before, hole))
                    yield before.rgb(), hole

        for filled in fill_all(read()):
            job, before, hole = waiting.popleft()
            after = before.with_filling(filled, hole > 0)
            if not hole.any():
                unchanged.append(job)
            if hole.any() and before.alpha is not None and not before.alpha[hole > 0].any():
                logger.warning(
                    f"{job.image} is transparent in its whole hole, and stays so: the filling cannot be seen."
                )
            with staged(job.output.parent) as folder:
                write_image(after, folder / job.output.name, settings.quality)
            now = time.monotonic()
            if report:
                report.add(job, before, hole, after, now - start)
            start = now
            progress.update()
    if unchanged:
        logger.warning(f"{len(unchanged)} of {len(jobs)} masks have no hole, so nothing was filled: {named(unchanged)}")
    return failures


def read_job(job: Job, settings: Settings) -> tuple[UserImage, np.ndarray]:
    """The image and its hole, float32 (H, W) in [0, 1], both upright, see src/data/orientation.py.

    Raises InputError that names a file.
    """
    image = read_image(job.image)
    check_output(job.output, image.header)
    assert job.mask is not None  # find_faults names images without
    hole = image.header.place.with_image(read_weights(job.mask, settings.mask_polarity, settings.mask_edge))
    if hole.shape != image.pixels.shape[:2]:
        raise InputError(f"{job.mask} has not the size of {job.image}; give another mask")
    return image, hole
