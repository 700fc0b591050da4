"""Fill the holes of pictures of any size, with a checkpoint or a file that export.py wrote.

  infer.py --checkpoint_path CHECKPOINT --image PICTURE --mask PICTURE --output PICTURE.png
  infer.py --checkpoint_path FILE.onnx --image FOLDER --mask FOLDER --output FOLDER

CHECKPOINT is a folder checkpoints/NNNNNNN, the file checkpoints/last, or a generator.ckpt; FILE.mindir serves as well.
In a mask white is the hole (--mask_polarity); it has its picture's size and, in a folder, its name. Known pixels come
back exactly as they were.
"""

import time

from model_utils.config import Config, refuse_unused
from model_utils.entry import require, run

FEW = 3  # pictures that are done sooner without compiling the network, on a CPU


def main(config: Config) -> None:
    require(config, "checkpoint_path", "image", "mask", "output")
    from src.files import make_folder, refuse_existing
    from src.inference.user_files import check_jobs, fill_file, list_jobs

    jobs = list_jobs(config.image, config.mask, config.output)
    refuse_existing([job.output for job in jobs], config.overwrite)
    check_jobs(jobs, config.mask_polarity)

    from model_utils.device import prepare, runs_without_mindspore

    if not runs_without_mindspore(config):
        prepare(config, few_runs=len(jobs) <= FEW)
    from src.inference.inpainter import Inpainter
    from src.progress import Progress

    how = config.chosen(("runtime", "precision"))
    inpainter = Inpainter.load(config.checkpoint_path, config.chosen(config.as_dict()), **how)
    refuse_unused(config, inpainter.info.model)
    for folder in sorted({job.output.parent for job in jobs}):
        make_folder(folder)

    start = time.monotonic()
    with Progress(len(jobs), "Filling") as progress:
        for job in jobs:
            fill_file(job, inpainter.fill, config.mask_polarity)
            progress.update()
    pictures = "1 picture" if len(jobs) == 1 else f"{len(jobs)} pictures"
    print(f"filled {pictures} in {time.monotonic() - start:.1f} s: {config.output}")


if __name__ == "__main__":
    run(main)
