"""Fill the holes of pictures of any size, with a checkpoint or a file that export.py wrote.

  infer.py --image PICTURE --mask PICTURE --output PICTURE
  infer.py --checkpoint_path CHECKPOINT --image PICTURE --mask PICTURE --output PICTURE
  infer.py --checkpoint_path FILE.onnx --image FOLDER --mask FOLDER --output FOLDER

CHECKPOINT is a folder checkpoints/NNNNNNN, the file checkpoints/last, or a generator.ckpt; FILE.mindir serves as well.
Without one, the weights that ship with the project are used.
In a mask white is the hole (--mask_polarity); it has its picture's size and, in a folder, its name. The name of an
output says its format: png, jpg, webp, tif or bmp. Known pixels come back exactly as they were, except in JPEG and in
WebP with --quality.

A picture with an orientation tag (EXIF) is turned by viewers. Its mask is taken as viewers show the picture, unless
only the stored picture has the mask's size. In a folder broken files are named and left out; the exit code is then 1.
"""

import sys
import time
import warnings
from pathlib import Path

from model_utils.config import Config, refuse_unused
from model_utils.entry import checkpoint_or_shipped, require, run
from src.errors import InputError

FEW = 3  # pictures that are done sooner without compiling the network, on a CPU
NAMED = 10  # failed pictures that the last line names


def main(config: Config) -> None:
    require(config, "image", "mask", "output")
    from PIL import Image

    from src.files import make_folder, refuse_existing, staged
    from src.inference.jobs import find_faults, list_jobs, refuse_inputs, warn_of_oddities
    from src.inference.report import Report
    from src.inference.user_files import Settings, fill_files

    # From twice as many pixels on, Pillow refuses pictures; up to there they are large, and no attack.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    refuse_contradictions(config)
    many = Path(config.image).is_dir()
    listed = list_jobs(config.image, config.mask, config.output, config.output_format, config.quality)
    jobs = [job for job in listed if not (config.skip_existing and job.output.is_file())]
    report_path = Path(config.report)
    outputs = [job.output for job in jobs] + [report_path] * bool(config.report)
    refuse_inputs(outputs, listed)
    refuse_existing(outputs, config.overwrite)

    faults = find_faults(jobs)
    if faults and len(faults) == len(jobs):
        first, *others = faults.values()
        raise InputError(f"{first}{f'; nor can the other {len(others)} pictures be filled' if others else ''}")
    skipped = f" ({len(listed) - len(jobs)} were there already)" * config.skip_existing
    if not jobs:
        print(f"nothing to fill{skipped}: {config.output}")
        return
    sound = [job for job in jobs if job not in faults]
    warn_of_oddities(sound, config.mask_polarity, config.mask_edge, config.quality)

    from model_utils.device import prepare, runs_without_mindspore

    if not runs_without_mindspore(config):
        prepare(config, few_runs=len(sound) <= FEW)
    from src.inference.inpainter import Inpainter

    how = config.chosen(("runtime", "precision"))
    inpainter = Inpainter(checkpoint_or_shipped(config), config.chosen(config.as_dict()), **how)
    refuse_unused(config, inpainter.info.model)
    for folder in sorted({path.parent for path in outputs}):
        make_folder(folder)
    for line in faults.values():
        print(f"error: {line}", file=sys.stderr)

    start = time.monotonic()
    settings = Settings(config.mask_polarity, config.mask_edge, config.quality)
    report = Report() if config.report else None
    failures = faults | fill_files(sound, inpainter.fill, settings, report, many)
    if report:
        with staged(report_path.parent) as folder:
            report.write(folder / report_path.name, failures)
    done, total = len(jobs) - len(failures), "1 picture" if len(jobs) == 1 else f"{len(jobs)} pictures"
    count = f"{done} of {total}" if failures else total
    print(f"filled {count} in {time.monotonic() - start:.1f} s{skipped}: {config.output}")
    if failures:
        names = ", ".join(str(job.image) for job in list(failures)[:NAMED])
        more = f" and {len(failures) - NAMED} more" if len(failures) > NAMED else ""
        print(f"{count} filled; {len(failures)} could not be: {names}{more}", file=sys.stderr)
        sys.exit(1)


def refuse_contradictions(config: Config) -> None:
    """Raises InputError for options that say nothing together."""
    if config.skip_existing and config.overwrite:
        raise InputError("--skip_existing keeps what --overwrite replaces; leave one of them out")
    if config.report and Path(config.report).suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--report {config.report}: the report is a page; give a name that ends in .html")


if __name__ == "__main__":
    run(main)
