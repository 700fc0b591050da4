"""Fill the holes of an image, or of a folder of images: inpaint photo.jpg mask.png filled.png

White is the hole in a mask. A mask has its image's size and, in a folder, its name. The name of an output says its
format: png, jpg, webp, tif or bmp. Known pixels come back exactly as they were, except in JPEG and in WebP with
--quality.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from .errors import InputError
from .inference.inpainter import Inpainter
from .inference.onnx_runtimes import PRECISIONS, RUNTIMES
from .inference.shipped import shipped_network
from .inference.user_files import Settings, fill_user_files
from .progress import print_any_name


def main(argv: Sequence[str] | None = None, network: Path | None = None) -> None:
    """The command `inpaint`, and run.py of a package of export.py, whose `network` is the one beside it.

    Ends the process: 1 if some images could not be filled, 2 if the input is wrong.
    """
    print_any_name()
    logging.basicConfig(format="%(message)s")
    try:
        sys.exit(fill(parse(argv, network)))
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def parse(argv: Sequence[str] | None, network: Path | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", help="an image or a folder of images, of any size")
    parser.add_argument("mask", help="its mask, or a folder of masks with the images' names")
    parser.add_argument("output", help="an image, whose name says its format, or a folder")
    parser.add_argument("--mask_polarity", choices=("white_hole", "black_hole"), default="white_hole")
    parser.add_argument("--mask_edge", choices=("hard", "soft"), default="hard", help="soft: gray blends")
    parser.add_argument("--quality", type=int, default=0, help="of JPEG and WebP, 1 to 100")
    parser.add_argument("--output_format", default="", help="of a folder: png, jpg, …; without it, each image's own")
    parser.add_argument("--overwrite", action="store_true", help="outputs that are there already")
    parser.add_argument("--skip_existing", action="store_true", help="leave out what has its output already")
    parser.add_argument("--report", default="", metavar="FILE.html", help="a page with each image before and after")
    parser.add_argument("--network", type=Path, default=network, help="a .onnx file of export.py; without it, ours")
    parser.add_argument("--runtime", choices=tuple(RUNTIMES), help="without it, the first that is installed")
    parser.add_argument("--precision", choices=tuple(PRECISIONS), help="bfloat16 needs openvino, and a CPU that has it")
    return parser.parse_args(argv)


def fill(args: argparse.Namespace) -> int:
    """-> exit code. Raises InputError and OSError."""
    settings = Settings(**{field.name: getattr(args, field.name) for field in fields(Settings)})

    def load(_: int) -> Callable:
        network = args.network or shipped_network()
        return Inpainter(network, runtime=args.runtime, precision=args.precision).fill_all

    return fill_user_files(args.image, args.mask, args.output, settings, load)
