"""Completing pictures with a trained network: from its checkpoint or its exported file, at any size."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from mindspore.nn.utils import no_init_parameters
from PIL import Image

from src.checkpoint import NetworkInfo, fill, network_file, parse_info, read_network
from src.ctsdg.generator import Generator
from src.ctsdg.inpainting import Inpainting
from src.data.edges import edge_and_gray
from src.data.images import normalise, prepare_image, to_uint8
from src.errors import InputError

# What a network's file decides. Options of these names cannot change it, only contradict it.
SETTINGS = ("model", "width", "image_size", "align_corners", "edge_mode", "sigma")


def build_ctsdg(arrays: Mapping[str, np.ndarray], info: NetworkInfo, path: Path) -> nn.Cell:
    """What generator.ckpt holds -> the cell that completes pictures."""
    with no_init_parameters():  # drawing random weights would take longer than reading the right ones
        generator = Generator(info.width, info.align_corners)
    fill(dict(generator.parameters_and_names()), arrays, path)
    return Inpainting(generator)


# By model: from the arrays of its generator.ckpt to the cell, and what that cell takes, in order.
BUILDERS: Mapping[str, Callable[..., nn.Cell]] = {"ctsdg": build_ctsdg}
INPUTS = {"ctsdg": ("image", "mask", "edge", "gray")}


class Inpainter:
    """Completes pictures with one network, `batch_size` at a time.

    `info` is what the network's file says of itself, and decides how pictures are prepared.
    """

    def __init__(self, network: nn.Cell, info: NetworkInfo, batch_size: int = 1) -> None:
        self.network, self.info, self.batch_size = network, info, batch_size
        self.inputs = INPUTS[info.model]
        self.edge_mode = info.edge_mode if "edge" in self.inputs else None  # None: the network takes no edges

    @classmethod
    def load(cls, path: str | Path, chosen: Mapping[str, object] | None = None, batch_size: int = 1) -> "Inpainter":
        """From a .mindir file, which knows its batch size, or else from a checkpoint: folder, file, checkpoints/last.

        chosen: those of SETTINGS that the user gave, which the file has to agree with. Raises InputError.
        """
        if Path(path).suffix == ".mindir":
            return cls(*load_mindir(Path(path), chosen or {}))
        return cls(*load_checkpoint(path, chosen or {}), batch_size)

    def complete(self, **arrays: np.ndarray) -> np.ndarray:
        """The network's composites of any number of pictures of its own size.

        image: (B, 3, S, S) in [-1, 1]; mask: (B, 1, S, S), 1 = known; edge, gray: (B, 1, S, S), where it takes them
        -> float32 (B, 3, S, S) in [-1, 1], known pixels as they were
        """
        composites = []
        for first in range(0, len(arrays["image"]), self.batch_size):
            batch = [arrays[name][first : first + self.batch_size] for name in self.inputs]
            # Every batch has the same shape, or a graph would be compiled again: the last one repeats a picture.
            missing = self.batch_size - len(batch[0])
            batch = [np.concatenate([array, *[array[-1:]] * missing]) for array in batch]
            composites.append(self.network(*map(Tensor, batch)).asnumpy()[: self.batch_size - missing])
        return np.concatenate(composites)

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


def load_checkpoint(path: str | Path, chosen: Mapping[str, object]) -> tuple[nn.Cell, NetworkInfo]:
    """The cell that completes pictures with a checkpoint's weights. Raises InputError."""
    path = network_file(path, "generator")
    arrays, info = read_network(path)
    if info.model not in BUILDERS or info.network != "generator":
        raise InputError(f"{path} holds {info.model}'s {info.network}, which fills no holes; give a generator.ckpt")
    check_settings(path, info, chosen)
    return BUILDERS[info.model](arrays, info, path), info


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
    if info.model not in INPUTS:
        raise InputError(f"{sidecar} names the model {info.model}, which is unknown here; use another one")
    check_settings(path, info, chosen)
    if sha256(path) != checksum:
        raise InputError(f"{path} is damaged, or not the file that {sidecar.name} was written for; export it again")
    return nn.GraphCell(ms.load(str(path))), info, batch_size


def check_settings(path: Path, info: NetworkInfo, chosen: Mapping[str, object]) -> None:
    """Raises InputError where the user asked for something else than the file holds."""
    for name, value in chosen.items():
        found = getattr(info, name)
        if found != value:
            raise InputError(f"{path} has {name} {found}, not {value}: leave --{name} out, or give another checkpoint")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
