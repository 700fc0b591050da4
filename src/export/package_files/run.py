"""Fill the holes of a picture, or of a folder of pictures: python run.py photo.jpg mask.png filled.png

In a mask white is the hole. README.md says more.
"""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from inpainting import Inpainter  # noqa: E402
from inpainting.errors import InputError  # noqa: E402
from inpainting.inference.user_files import Settings, fill_user_files  # noqa: E402
from inpainting.progress import print_any_name  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", help="a picture or a folder of pictures, of any size")
    parser.add_argument("mask", help="its mask, or a folder of masks with the pictures' names")
    parser.add_argument("output", help="a picture, whose name says its format, or a folder")
    parser.add_argument("--mask_polarity", choices=("white_hole", "black_hole"), default="white_hole")
    parser.add_argument("--mask_edge", choices=("hard", "soft"), default="hard", help="soft: gray blends")
    parser.add_argument("--quality", type=int, default=0, help="of JPEG and WebP, 1 to 100")
    parser.add_argument("--overwrite", action="store_true")
    parser.add_argument("--runtime", choices=("openvino", "onnxruntime"), help="for a model in ONNX")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), help="for a model in ONNX")
    args = parser.parse_args()

    (model,) = (path for path in HERE.iterdir() if path.suffix in (".onnx", ".mindir"))
    settings = Settings(args.mask_polarity, args.mask_edge, args.quality, overwrite=args.overwrite)

    def load(_: int) -> Callable:
        return Inpainter(model, runtime=args.runtime, precision=args.precision).fill_all

    return fill_user_files(args.image, args.mask, args.output, settings, load)


if __name__ == "__main__":
    print_any_name()
    logging.basicConfig(format="%(message)s")
    try:
        sys.exit(main())
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
