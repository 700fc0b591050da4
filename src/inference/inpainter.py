"""Completing images with a trained network: from its checkpoint or its exported file, at any size.

from src import Inpainter  # installed: from inpainting import Inpainter
inpainter = Inpainter("checkpoints/last")  # or Inpainter(), with the weights that ship
completed = inpainter(image, mask)
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from ..data.edges import edge_and_gray
from ..data.images import luminance, normalise
from ..errors import InputError
from .batches import RunnableNetwork, run_batches
from .filling import Filling, Sample, fill_by_scales
from .open_network import open_network
from .shipped import shipped_network

# As Filling, but what it ends with is an image of the kind that was given.
Steps = Generator[list[Sample], Sequence[np.ndarray], Any]
A = TypeVar("A", np.ndarray, Image.Image)
# Pillow's modes whose pixels mean what those of arrays do.
IMAGE_MODES, MASK_MODES = ("L", "LA", "RGB", "RGBA", "I;16"), ("1", "L")


class Inpainter:
    """Completes images with one network, whose file decides how they are prepared. Several threads may use it.

    network: what open_network gives, or a path, which open_network takes with the `options`; it may raise InputError.
    Without one, the weights that ship, as an ONNX file.
    """

    def __init__(self, network: RunnableNetwork | str | Path | None = None, **options: Any) -> None:
        if network is None:
            network = shipped_network()
        if not isinstance(network, RunnableNetwork):
            network = open_network(network, **options)
        self.network, self.info, self.batch_size, self.inputs, self.fixed = network
        self.edge_mode = self.info.edge_mode if "edge" in self.inputs else None  # None: the network takes no edges

    def __call__(self, image: A, mask: np.ndarray | Image.Image) -> A:
        """Fill the holes of an image; what is known does not change by a bit.

        image: uint8 or uint16, gray (H, W), gray and alpha (H, W, 2), RGB (H, W, 3) or RGB and alpha (H, W, 4), or a
        Pillow image of such a mode, whose pixels are taken as they are; alpha stays as it is
        mask: (H, W), white in the holes, or a Pillow image of mode 1 or L: bool; uint8, 255 in the holes, or 1 where
        none is above 1; float in [0, 1]. Gray blends what is filled with what is known
        -> as image

        Raises ValueError for other shapes, types or values.
        """
        (filled,) = self.fill_all([(image, mask)])
        return filled

    def fill_all(self, pairs: Iterable[tuple[A, np.ndarray | Image.Image]]) -> Iterator[A]:
        """A call for many, in order: windows of as many images as a batch takes go through the network together."""
        pairs = iter(pairs)
        waiting: list[_Job] = []
        while True:
            for image, mask in pairs:
                waiting.append(_Job(self._filling(image, mask)))
                if len(waiting) >= self.batch_size:
                    break
            if not waiting:
                return
            while not waiting[0].done:
                self._advance([job for job in waiting if not job.done])
            yield waiting.pop(0).result

    def _filling(self, image: np.ndarray | Image.Image, mask: np.ndarray | Image.Image) -> Steps:
        pixels, hole = as_pixels(image), as_hole(mask)
        if hole.shape != pixels.shape[:2]:
            raise ValueError(f"mask: {hole.shape} is not the size of the image, {pixels.shape[:2]}")
        filled = yield from self._fill(pixels.reshape(*hole.shape, -1), hole)
        if not isinstance(image, Image.Image):
            return filled.reshape(pixels.shape)
        result = image.copy()  # with its profile
        result.frombytes(filled.tobytes())
        return result

    def _fill(self, planes: np.ndarray, hole: np.ndarray) -> Filling:
        """planes: (H, W, 1 to 4); hole: (H, W), bool or float in [0, 1] -> as planes"""
        inside = hole > 0
        if not inside.any():
            return planes.copy()
        colours = planes.shape[2] - (planes.shape[2] in (2, 4))
        image = planes[..., :3] if colours == 3 else np.repeat(planes[..., :1], 3, axis=2)
        seamless = bool(self.info.settings.get("seamless"))  # not every model has it
        filled = yield from fill_by_scales(image, inside, self.info.image_size, seamless)
        edge = inside & (hole < 1)
        if edge.any():
            share = hole[edge][:, None]
            filled[edge] = np.rint(share * filled[edge] + (1 - share) * image[edge]).astype(image.dtype)
        if planes.shape[2] == 3:
            return filled
        result = planes.copy()
        result[inside, :colours] = luminance(filled[inside])[:, None] if colours == 1 else filled[inside]
        return result

    def _advance(self, jobs: list["_Job"]) -> None:
        """Run the windows that images wait for."""
        samples = [sample for job in jobs for sample in job.samples]
        outputs: list[np.ndarray] = []
        for first in range(0, len(samples), self.batch_size):
            outputs.extend(self._complete_samples(samples[first : first + self.batch_size]))
        start = 0
        for job in jobs:
            end = start + len(job.samples)
            job.send(outputs[start:end])
            start = end

    def _complete_samples(self, samples: list[Sample]) -> np.ndarray:
        """-> float32 (B, S, S, 3), 0 … 255"""
        arrays = {
            "image": np.stack([normalise(sample.image) for sample in samples]),
            "mask": np.stack([sample.known[None] for sample in samples]).astype(np.float32),
        }
        if self.edge_mode:
            pairs = [edge_and_gray(sample.image, self.edge_mode, self.info.sigma, sample.known) for sample in samples]
            arrays["edge"], arrays["gray"] = map(np.stack, zip(*pairs, strict=True))
        return (self.complete(**arrays).transpose(0, 2, 3, 1) + 1) * np.float32(127.5)

    def complete(self, **arrays: np.ndarray) -> np.ndarray:
        """The network's composites of any number of images of its own size.

        image: (B, 3, S, S) in [-1, 1]; mask: (B, 1, S, S), 1 = known; edge, gray: (B, 1, S, S), where it takes them
        -> float32 (B, 3, S, S) in [-1, 1], known pixels as they were

        Raises InputError if they are not finite.
        """
        columns = [arrays[name] for name in self.inputs]
        (composites,) = run_batches(self.network, columns, self.batch_size, self.fixed)
        if not np.isfinite(composites).all():
            raise InputError(f"{self.info.model}'s output is not finite, so its weights are of no use; use others")
        return composites


def as_pixels(image: np.ndarray | Image.Image) -> np.ndarray:
    """An image as Inpainter takes it -> its pixels. Raises ValueError for any other."""
    if isinstance(image, Image.Image) and image.mode not in IMAGE_MODES:
        raise ValueError(f'image: mode {image.mode} is none of {", ".join(IMAGE_MODES)}; image.convert("RGB") is')
    pixels = np.asarray(image)
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[2:] not in ((), (1,), (2,), (3,), (4,)):
        raise ValueError(f"image: {pixels.dtype} {pixels.shape} is no uint8 or uint16 image (H, W[, 1 … 4])")
    if pixels.ndim < 2 or not pixels.size:
        raise ValueError(f"image: {pixels.shape} has no pixels in rows and columns")
    return pixels


def as_hole(mask: np.ndarray | Image.Image) -> np.ndarray:
    """A mask as Inpainter takes it -> how much of each pixel is to be filled: bool, or float32 in [0, 1].

    Raises ValueError for any other.
    """
    if isinstance(mask, Image.Image) and mask.mode not in MASK_MODES:
        raise ValueError(f'mask: mode {mask.mode} is none of {", ".join(MASK_MODES)}; mask.convert("L") is')
    hole = np.asarray(mask)
    if hole.ndim != 2 or (hole.dtype.kind not in "bf" and hole.dtype != np.uint8):
        raise ValueError(f"mask: {hole.dtype} {hole.shape} is no bool, uint8 or float (H, W)")
    if hole.dtype == np.uint8:
        return hole > 0 if hole.max(initial=0) <= 1 else hole / np.float32(255)
    if hole.dtype.kind == "f" and not (hole.min(initial=0) >= 0 and hole.max(initial=0) <= 1):  # nor NaN
        raise ValueError(f"mask: floats from {hole.min():g} to {hole.max():g} are not all within [0, 1]")
    return hole if hole.dtype == np.bool_ else hole.astype(np.float32, copy=False)


class _Job:
    """An image on its way: the windows it waits for, and at last the result."""

    result: Any  # once it is done

    def __init__(self, filling: Steps) -> None:
        self.filling, self.done = filling, False
        self.send(None)

    def send(self, outputs: list[np.ndarray] | None) -> None:
        try:
            self.samples: list[Sample] = next(self.filling) if outputs is None else self.filling.send(outputs)
        except StopIteration as stop:
            self.samples, self.done, self.result = [], True, stop.value
