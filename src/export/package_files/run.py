"""Fill the holes of an image, or of a folder of images: python run.py photo.jpg mask.png filled.png

In a mask white is the hole. README.md says more.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from inpainting.command import main  # noqa: E402

if __name__ == "__main__":
    (model,) = (path for path in HERE.iterdir() if path.suffix in (".onnx", ".mindir"))
    main(network=model)
