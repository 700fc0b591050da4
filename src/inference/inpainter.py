"""Completing pictures with a trained network: from its checkpoint or its exported file, at any size.

from src.inference.inpainter import Inpainter
inpainter = Inpainter("checkpoints/last")
completed = inpainter(image, mask)
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.data.edges import edge_and_gray
from src.data.images import luminance, normalise
from src.errors import InputError
from src.inference.batches import Network, run_batches
from src.inference.filling import Filling, Sample, fill_by_scales
from src.inference.onnx_runtimes import load_onnx
from src.inference.sidecar import read_sidecar
from src.network_info import NetworkInfo

if TYPE_CHECKING:
    from mindspore import nn


class Inpainter:
    """Completes pictures with one network, whose file decides how they are prepared. Several threads may use it.

    path: a .onnx or .mindir file, which knows its batch size, or a checkpoint: folder, file, checkpoints/last
    chosen: options that the user gave, see load_inpainting; an exported file has decided all of them
    batch_size: windows that go through the network together
    runtime, precision: for .onnx files alone, see load_onnx

    Raises InputError.
    """

    def __init__(
        self,
        path: str | Path,
        chosen: Mapping[str, object] | None = None,
        batch_size: int = 1,
        runtime: str | None = None,
        precision: str | None = None,
    ) -> None:
        path, chosen = Path(path), chosen or {}
        how = {name: value for name, value in (("runtime", runtime), ("precision", precision)) if value is not None}
        if path.suffix == ".onnx":
            info, batch_size, inputs = read_sidecar(path, chosen)
            self._use(load_onnx(path, **how), info, batch_size, inputs)
            return
        for name, value in how.items():
            raise InputError(f"--{name} {value} is for .onnx files; leave it out for {path}")
        if path.suffix == ".mindir":
            from src.inference.mindspore_runtime import load_mindir

            info, batch_size, inputs = read_sidecar(path, chosen)
            self._use(load_mindir(path), info, batch_size, inputs)
            return
        try:
            from src.models import load_inpainting
        except ModuleNotFoundError as error:  # a package of export.py has no networks
            raise InputError(f"{path}: only .onnx and .mindir files run here") from error
        self._use_cell(*load_inpainting(path, chosen), batch_size)

    @classmethod
    def of(cls, network: "nn.Cell", info: NetworkInfo, batch_size: int = 1) -> "Inpainter":
        """With a cell that is loaded already."""
        inpainter = cls.__new__(cls)
        inpainter._use_cell(network, info, batch_size)
        return inpainter

    def _use_cell(self, cell: "nn.Cell", info: NetworkInfo, batch_size: int) -> None:
        from src.inference.mindspore_runtime import compiles, on_arrays
        from src.models import get_model

        model = get_model(info.model)
        inputs = [tensor.name for tensor in model.inputs]
        self._use(on_arrays(cell), info, batch_size, inputs, fixed=compiles())

    def _use(
        self, network: Network, info: NetworkInfo, batch_size: int, inputs: Sequence[str], fixed: bool = True
    ) -> None:
        self.network, self.info, self.batch_size, self.inputs = network, info, batch_size, tuple(inputs)
        self.fixed = fixed  # the network takes batches of that size alone
        self.edge_mode = info.edge_mode if "edge" in self.inputs else None  # None: the network takes no edges

    def __call__(self, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Fill the holes of a picture; what is known does not change by a bit.

        image: uint8 or uint16, gray (H, W), gray and alpha (H, W, 2), RGB (H, W, 3) or RGB and alpha (H, W, 4); alpha
        stays as it is
        mask: (H, W), bool or uint8, white (True, 255) in the holes; gray blends what is filled with what is known
        -> as image

        Raises ValueError for other shapes or types.
        """
        image, mask = np.asarray(image), np.asarray(mask)
        if image.dtype not in (np.uint8, np.uint16) or image.shape[2:] not in ((), (1,), (2,), (3,), (4,)):
            raise ValueError(f"image: {image.dtype} {image.shape} is no uint8 or uint16 picture (H, W[, 1 … 4])")
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

    def fill(self, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """picture: uint8 or uint16 (H, W, 3), RGB; hole: float32 (H, W) in [0, 1], how much of a pixel is to be filled,
        or bool -> as picture"""
        (filled,) = self.fill_all([(picture, hole)])
        return filled

    def fill_all(self, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[np.ndarray]:
        """`fill` for many, in order: windows of as many pictures as a batch takes go through the network together."""
        pairs, waiting = iter(pairs), []
        while True:
            for picture, hole in pairs:
                waiting.append(_Job(self._filling(picture, hole)))
                if len(waiting) >= self.batch_size:
                    break
            if not waiting:
                return
            while not waiting[0].done:
                self._advance([job for job in waiting if not job.done])
            yield waiting.pop(0).result

    def _filling(self, picture: np.ndarray, hole: np.ndarray) -> Filling:
        inside = hole > 0
        if not inside.any():
            return picture.copy()
        filled = yield from fill_by_scales(picture, inside, self.info.image_size)
        edge = inside & (hole < 1)
        if edge.any():
            share = hole[edge][:, None]
            filled[edge] = np.rint(share * filled[edge] + (1 - share) * picture[edge]).astype(picture.dtype)
        return filled

    def _advance(self, jobs: list["_Job"]) -> None:
        """Run the windows that pictures wait for."""
        samples, outputs = [sample for job in jobs for sample in job.samples], []
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
        """The network's composites of any number of pictures of its own size.

        image: (B, 3, S, S) in [-1, 1]; mask: (B, 1, S, S), 1 = known; edge, gray: (B, 1, S, S), where it takes them
        -> float32 (B, 3, S, S) in [-1, 1], known pixels as they were
        """
        columns = [arrays[name] for name in self.inputs]
        (composites,) = run_batches(self.network, columns, self.batch_size, self.fixed)
        return composites


class _Job:
    """A picture on its way: the windows it waits for, and at last the result."""

    def __init__(self, filling: Filling) -> None:
        self.filling, self.samples, self.done, self.result = filling, [], False, None
        self.send(None)

    def send(self, outputs: list[np.ndarray] | None) -> None:
        try:
            self.samples = self.filling.send(outputs)
        except StopIteration as stop:
            self.samples, self.done, self.result = [], True, stop.value
