"""Completing pictures with a trained network: from its checkpoint or its exported file, at any size."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from src.data.edges import edge_and_gray
from src.data.images import normalise, to_uint8
from src.errors import InputError
from src.inference.batches import Network, run_batches
from src.inference.onnx_runtimes import load_onnx
from src.inference.sidecar import read_sidecar
from src.inference.windows import shrink, window
from src.network_info import NetworkInfo

if TYPE_CHECKING:
    from mindspore import nn


class Inpainter:
    """Completes pictures with one network, `batch_size` at a time.

    network: a cell, or with `inputs`, the names of what it takes, a function of arrays. `info` is what the network's
    file says of itself, and decides how pictures are prepared.
    """

    def __init__(
        self,
        network: "nn.Cell | Network",
        info: NetworkInfo,
        batch_size: int = 1,
        inputs: Sequence[str] | None = None,
    ) -> None:
        self.network, self.info, self.batch_size = network, info, batch_size
        self.run = network
        if inputs is None:
            from src.inference.mindspore_runtime import on_arrays
            from src.models import get_model

            self.run, inputs = on_arrays(network), [tensor.name for tensor in get_model(info.model).inputs]
        self.inputs = tuple(inputs)
        self.edge_mode = info.edge_mode if "edge" in self.inputs else None  # None: the network takes no edges

    @classmethod
    def load(
        cls,
        path: str | Path,
        chosen: Mapping[str, object] | None = None,
        batch_size: int = 1,
        runtime: str | None = None,
        precision: str | None = None,
    ) -> "Inpainter":
        """From a .onnx or .mindir file, which knows its batch size, or a checkpoint: folder, file, checkpoints/last.

        chosen: the options that the user gave, see load_inpainting; an exported file has decided all of them.
        runtime, precision: for .onnx files alone, see load_onnx. Raises InputError.
        """
        path, chosen = Path(path), chosen or {}
        how = {name: value for name, value in (("runtime", runtime), ("precision", precision)) if value is not None}
        if path.suffix == ".onnx":
            info, batch_size, inputs = read_sidecar(path, chosen)
            return cls(load_onnx(path, **how), info, batch_size, inputs)
        for name, value in how.items():
            raise InputError(f"--{name} {value} is for .onnx files; leave it out for {path}")
        if path.suffix == ".mindir":
            from src.inference.mindspore_runtime import load_mindir

            info, batch_size, inputs = read_sidecar(path, chosen)
            return cls(load_mindir(path), info, batch_size, inputs)
        from src.models import load_inpainting

        return cls(*load_inpainting(path, chosen), batch_size)

    def complete(self, **arrays: np.ndarray) -> np.ndarray:
        """The network's composites of any number of pictures of its own size.

        image: (B, 3, S, S) in [-1, 1]; mask: (B, 1, S, S), 1 = known; edge, gray: (B, 1, S, S), where it takes them
        -> float32 (B, 3, S, S) in [-1, 1], known pixels as they were
        """
        (composites,) = run_batches(self.run, [arrays[name] for name in self.inputs], self.batch_size)
        return composites

    def fill(self, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """Fill the hole of a picture of any size; what is known does not change by a bit.

        picture: uint8 (H, W, 3); hole: bool (H, W) -> uint8 (H, W, 3)
        """
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
