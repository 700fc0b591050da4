"""Completing pictures with a trained network: from its checkpoint or its exported file, at any size."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from PIL import Image

from src.checkpoint import NetworkInfo, parse_info
from src.data.edges import edge_and_gray
from src.data.images import normalise, prepare_image, to_uint8
from src.errors import InputError
from src.networks import check_settings, load_checkpoint

# What the cell of each model takes, in order.
INPUTS = {"ctsdg": ("image", "mask", "edge", "gray"), "dgts": ("image", "mask")}


class Inpainter:
    """Completes pictures with one network, `batch_size` at a time.

    `info` is what the network's file says of itself, and decides how pictures are prepared.
    """

    def __init__(self, network: nn.Cell, info: NetworkInfo, batch_size: int = 1) -> None:
        self.network, self.info, self.batch_size = network, info, batch_size
        self.inputs = INPUTS[info.model]
        self.edge_mode = info.edge_mode if "edge" in self.inputs else None  # None: the network takes no edges

    @classmethod
    def load(
        cls,
        path: str | Path,
        chosen: Mapping[str, object] | None = None,
        batch_size: int = 1,
        upsampler_path: str = "",
    ) -> "Inpainter":
        """From a .mindir file, which knows its batch size, or else from a checkpoint: folder, file, checkpoints/last.

        chosen, upsampler_path: see load_checkpoint; in a .mindir file all of it is decided. Raises InputError.
        """
        if Path(path).suffix == ".mindir":
            if upsampler_path:
                raise InputError(f"{path} holds its upsampler; leave --upsampler_path out, or give a checkpoint")
            network, info, batch_size = load_mindir(Path(path), chosen or {})
            if info.model not in INPUTS or info.network != "generator":
                raise InputError(
                    f"{path} is {info.model}'s {info.network} alone, which fills no holes; give another file"
                )
            return cls(network, info, batch_size)
        return cls(*load_checkpoint(path, chosen or {}, upsampler_path), batch_size)

    def complete(self, **arrays: np.ndarray) -> np.ndarray:
        """The network's composites of any number of pictures of its own size.

        image: (B, 3, S, S) in [-1, 1]; mask: (B, 1, S, S), 1 = known; edge, gray: (B, 1, S, S), where it takes them
        -> float32 (B, 3, S, S) in [-1, 1], known pixels as they were
        """
        (composites,) = run_batches(self.network, [arrays[name] for name in self.inputs], self.batch_size)
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


def run_batches(network: nn.Cell, arrays: Sequence[np.ndarray], batch_size: int) -> list[np.ndarray]:
    """Run a cell on any number of samples, `batch_size` at a time.

    arrays: its inputs, each (B, …) -> its outputs, each (B, …)
    """
    batches = []
    for first in range(0, len(arrays[0]), batch_size):
        batch = [array[first : first + batch_size] for array in arrays]
        # Every batch has the same shape, or a graph would be compiled again: the last one repeats a sample.
        missing = batch_size - len(batch[0])
        batch = [np.concatenate([array, *[array[-1:]] * missing]) for array in batch]
        outputs = network(*map(Tensor, batch))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        batches.append([output.asnumpy()[: batch_size - missing] for output in outputs])
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def window(hole: np.ndarray) -> tuple[slice, slice]:
    """The part of a picture that the network gets to see, given the hole: bool (H, W).

    A square with the hole in its middle, as large as the picture allows: it keeps the proportions and more of the
    resolution. The whole picture, to be squashed, where the hole does not fit into such a square or would fill most of
    it.
    """
    side = min(hole.shape)
    part = []
    for axis, length in enumerate(hole.shape):
        inside = np.flatnonzero(hole.any(axis=1 - axis))
        start = (inside[0] + inside[-1] + 1 - side) // 2
        start = int(np.clip(start, 0, length - side))
        part.append(slice(start, start + side))
    part = tuple(part)
    fits = np.count_nonzero(hole[part]) == np.count_nonzero(hole)
    return part if fits and hole[part].mean() <= 0.5 else (slice(None), slice(None))


def shrink(picture: np.ndarray, hole: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Picture and mask at the network's size, where True is known.

    picture: uint8 (H, W, 3); hole: bool (H, W) -> image: uint8 (S, S, 3), known: bool (S, S)

    Nearest neighbour would lose thin holes and let their content into the known pixels around. So a pixel that mixes
    hole and known takes the mean of the known ones alone, and is known itself where they are at least half of it.
    """
    image = prepare_image(Image.fromarray(picture), size)
    if hole.shape == (size, size):
        return image, ~hole
    weight = resize_plane(~hole, size)
    means = [resize_plane(channel * ~hole, size) / np.maximum(weight, 1e-6) for channel in np.moveaxis(picture, -1, 0)]
    mixed = (weight > 0) & (weight < 1)
    image = np.where(mixed[..., None], np.rint(np.stack(means, axis=-1)), image).astype(np.uint8)
    return image, weight >= 0.5


def resize_plane(plane: np.ndarray, size: int) -> np.ndarray:
    """(H, W) -> float32 (S, S), with the filter that pictures are resized with."""
    plane = Image.fromarray(plane.astype(np.float32))
    return np.asarray(plane.resize((size, size), Image.Resampling.BILINEAR))


def load_mindir(path: Path, chosen: Mapping[str, object]) -> tuple[nn.Cell, NetworkInfo, int]:
    """The cell in a file of export.py, what is known of it, and its batch size. Raises InputError.

    Nothing in the file itself says how to prepare its inputs, so it needs the .json that was written with it.
    """
    sidecar = path.with_suffix(".json")
    if not path.is_file():
        raise InputError(f"{path} does not exist; export.py makes one from a checkpoint")
    if not sidecar.is_file():
        raise InputError(
            f"{path} has no {sidecar.name} beside it, which says how to use it; copy both, or export again"
        )
    try:
        text = sidecar.read_text(encoding="utf-8")
        facts = json.loads(text)
        checksum, batch_size = facts["sha256"], int(facts["batch_size"])
        if batch_size < 1:
            raise ValueError(f"batch_size {batch_size}")
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{sidecar} is damaged; export {path.name} again") from error
    info = parse_info(text, sidecar)
    check_settings(path, info, chosen)
    if sha256(path) != checksum:
        raise InputError(f"{path} is damaged, or not the file that {sidecar.name} was written for; export it again")
    return nn.GraphCell(ms.load(str(path))), info, batch_size


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
