"""Completing pictures with a trained network: from its checkpoint or its exported file, at any size."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from mindspore import nn
from PIL import Image

from src.checkpoint import NetworkInfo
from src.data.edges import edge_and_gray
from src.data.images import normalise, to_uint8
from src.errors import InputError
from src.inference.mindspore_runtime import load_mindir, run_batches
from src.inference.windows import shrink, window
from src.models import get_model, load_inpainting


class Inpainter:
    """Completes pictures with one network, `batch_size` at a time.

    `info` is what the network's file says of itself, and decides how pictures are prepared.
    """

    def __init__(self, network: nn.Cell, info: NetworkInfo, batch_size: int = 1) -> None:
        self.network, self.info, self.batch_size = network, info, batch_size
        self.inputs = tuple(tensor.name for tensor in get_model(info.model).inputs)
        self.edge_mode = info.edge_mode if "edge" in self.inputs else None  # None: the network takes no edges

    @classmethod
    def load(
        cls,
        path: str | Path,
        chosen: Mapping[str, object] | None = None,
        batch_size: int = 1,
    ) -> "Inpainter":
        """From a .mindir file, which knows its batch size, or else from a checkpoint: folder, file, checkpoints/last.

        chosen: see load_inpainting; in a .mindir file all of it is decided. Raises InputError.
        """
        if Path(path).suffix != ".mindir":
            return cls(*load_inpainting(path, chosen or {}), batch_size)
        network, info, batch_size = load_mindir(Path(path), chosen or {})
        model = get_model(info.model)
        if model.build is None or info.network != "generator":
            raise InputError(f"{path} is {info.model}'s {info.network} alone, which fills no holes; give another file")
        for name in model.build_options:
            if name in (chosen or {}):
                raise InputError(f"{path} is complete in itself; leave --{name} out, or give a checkpoint")
        return cls(network, info, batch_size)

    def complete(self, **arrays: np.ndarray) -> np.ndarray:
        """The network's composites of any number of pictures of its own size.

        image: (B, 3, S, S) in [-1, 1]; mask: (B, 1, S, S), 1 = known; edge, gray: (B, 1, S, S), where it takes them
        -> float32 (B, 3, S, S) in [-1, 1], known pixels as they were
        """
        (composites,) = run_batches(self.network, [arrays[name] for name in self.inputs], self.batch_size)
        return composites

    def fill(self, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """Fill the hole of a picture of any size; what is known does not change by a bit.

        picture: uint8 or uint16 (H, W, 3); hole: (H, W) in [0, 1], how much of each pixel is to be filled -> as picture
        """
        inside, scale = hole > 0, 257 if picture.dtype == np.uint16 else 1
        eight_bits = picture if scale == 1 else np.rint(picture / np.float32(scale)).astype(np.uint8)
        new = self._fill(eight_bits, inside)[inside] * np.float32(scale)  # (N, 3)
        old, filled = picture[inside].astype(np.float32), picture.copy()
        filled[inside] = np.rint(old + hole[inside, None].astype(np.float32) * (new - old))
        return filled

    def _fill(self, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """picture: uint8 (H, W, 3); hole: bool (H, W) -> uint8 (H, W, 3)"""
        if not hole.any():
            return picture.copy()
        part = window(hole)
        image, known = shrink(picture[part], hole[part], self.info.image_size)
        inputs = {"image": normalise(image), "mask": known[None].astype(np.float32)}
        if self.edge_mode:
            inputs["edge"], inputs["gray"] = edge_and_gray(image, self.edge_mode, self.info.sigma)
        composite = to_uint8(self.complete(**{name: array[None] for name, array in inputs.items()})[0])

        height, width = hole[part].shape
        composite = Image.fromarray(composite).resize((width, height), Image.Resampling.LANCZOS)
        filled = picture.copy()
        filled[part][hole[part]] = np.asarray(composite)[hole[part]]
        return filled
