"""Fill the holes of images of any size, with a checkpoint or a file that export.py wrote.

  infer.py --image IMAGE --mask IMAGE --output IMAGE
  infer.py --checkpoint_path CHECKPOINT --image IMAGE --mask IMAGE --output IMAGE
  infer.py --checkpoint_path FILE.onnx --image FOLDER --mask FOLDER --output FOLDER

CHECKPOINT is a folder checkpoints/NNNNNNN, the file checkpoints/last, or a generator.ckpt; FILE.mindir serves as well.
Without one, the weights that ship with the project are used.
In a mask white is the hole (--mask_polarity); it has its image's size and, in a folder, its name. The name of an
output says its format: png, jpg, webp, tif or bmp. Known pixels come back exactly as they were, except in JPEG and in
WebP with --quality.

An image with an orientation tag (EXIF) is turned by viewers. Its mask is taken as viewers show the image, unless
only the stored image has the mask's size. In a folder broken files are named and left out; the exit code is then 1.
"""

import sys
from collections.abc import Callable
from dataclasses import fields

from model_utils.config import Config, refuse_unused
from model_utils.entry import DEVICE_GROUPS, OPENING_GROUPS, network_or_shipped, require, run

OPTION_GROUPS = (
    *DEVICE_GROUPS,
    *OPENING_GROUPS,
    "Overwriting",
    "ONNX files",
    "Masks",
    "Inference",
    "Filling",
    "Output of inference and conversion",
)

FEW = 3  # images that are done sooner without compiling the network, on a CPU


def main(config: Config) -> None:
    require(config, "image", "mask", "output")
    from src.inference.user_files import Settings, fill_user_files

    settings = Settings(**{field.name: getattr(config, field.name) for field in fields(Settings)})
    code = fill_user_files(config.image, config.mask, config.output, settings, lambda count: load(config, count))
    if code:
        sys.exit(code)


def load(config: Config, count: int) -> Callable:
    """What fills `count` images."""
    from model_utils.device import prepare, runs_without_mindspore

    checkpoint = network_or_shipped(config)
    if not runs_without_mindspore(checkpoint, config.device_target):
        prepare(config, few_runs=count <= FEW)
    from src.inference.inpainter import Inpainter
    from src.inference.open_network import open_network

    how = config.chosen(("runtime", "precision"))
    inpainter = Inpainter(open_network(checkpoint, config.chosen(config.as_dict()), **how))
    refuse_unused(config, inpainter.info.model)
    return inpainter.fill_all


if __name__ == "__main__":
    run(main)
