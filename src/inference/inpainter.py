"""Completing images with a trained network: from its checkpoint or its exported file, at any size.

from src import Inpainter  # installed: from inpainting import Inpainter
inpainter = Inpainter("checkpoints/last")  # or Inpainter(), with the weights that ship
completed = inpainter(image, mask)
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..data.edges import edge_and_gray
from ..data.images import luminance, normalise
from .batches import RunnableNetwork, run_batches
from .filling import Filling, Sample, fill_by_scales
from .open_network import open_network
from .shipped import shipped_network


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

    def __call__(self, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Fill the holes of an image; what is known does not change by a bit.

        image: uint8 or uint16, gray (H, W), gray and alpha (H, W, 2), RGB (H, W, 3) or RGB and alpha (H, W, 4); alpha
        stays as it is
        mask: (H, W), bool or uint8, white (True, 255) in the holes; gray blends what is filled with what is known
        -> as image

        Raises ValueError for other shapes or types.
        """
        image, mask = np.asarray(image), np.asarray(mask)
        if image.dtype not in (np.uint8, np.uint16) or image.shape[2:] not in ((), (1,), (2,), (3,), (4,)):
            raise ValueError(f"image: {image.dtype} {image.shape} is no uint8 or uint16 image (H, W[, 1 … 4])")
        if mask.shape != image.shape[:2] or mask.dtype not in (np.bool_, np.uint8):
            raise ValueError(f"mask: {mask.dtype} {mask.shape} is no bool or uint8 {image.shape[:2]}")
        hole = mask.astype(np.float32) / (1 if mask.dtype == np.bool_ else 255)
        planes = image.reshape(*image.shape[:2], -1)
        colours = planes.shape[2] - (planes.shape[2] in (2, 4))
        colour = planes[..., :colours] if colours == 3 else np.repeat(planes[..., :1], 3, axis=2)
        filled, result = self.fill(colour, hole), planes.copy()
        inside = hole > 0
        result[inside, :colours] = luminance(filled[inside])[:, None] if colours == 1 else filled[inside]
        return result.reshape(image.shape)

    def fill(self, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """image: uint8 or uint16 (H, W, 3), RGB; hole: float32 (H, W) in [0, 1], how much of a pixel is to be filled,
        or bool -> as image"""
        (filled,) = self.fill_all([(image, hole)])
        return filled

    def fill_all(self, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[np.ndarray]:
        """`fill` for many, in order: windows of as many images as a batch takes go through the network together."""
        pairs = iter(pairs)
        waiting: list[_Job] = []
        while True:
            for image, hole in pairs:
                waiting.append(_Job(self._filling(image, hole)))
                if len(waiting) >= self.batch_size:
                    break
            if not waiting:
                return
            while not waiting[0].done:
                self._advance([job for job in waiting if not job.done])
            yield waiting.pop(0).result

    def _filling(self, image: np.ndarray, hole: np.ndarray) -> Filling:
        inside = hole > 0
        if not inside.any():
            return image.copy()
        filled = yield from fill_by_scales(image, inside, self.info.image_size)
        edge = inside & (hole < 1)
        if edge.any():
            share = hole[edge][:, None]
            filled[edge] = np.rint(share * filled[edge] + (1 - share) * image[edge]).astype(image.dtype)
        return filled

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
        """
        columns = [arrays[name] for name in self.inputs]
        (composites,) = run_batches(self.network, columns, self.batch_size, self.fixed)
        return composites


class _Job:
    """An image on its way: the windows it waits for, and at last the result."""

    result: np.ndarray  # once it is done

    def __init__(self, filling: Filling) -> None:
        self.filling, self.done = filling, False
        self.send(None)

    def send(self, outputs: list[np.ndarray] | None) -> None:
        try:
            self.samples: list[Sample] = next(self.filling) if outputs is None else self.filling.send(outputs)
        except StopIteration as stop:
            self.samples, self.done, self.result = [], True, stop.value
