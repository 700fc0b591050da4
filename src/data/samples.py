"""Images with masks, for training and for evaluation, as NumPy arrays.

What training sees is a pure function of (seed, sample number): resuming, more ranks and more workers change nothing.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .edges import edge_and_gray, edge_map
from .holes import coarser_filling, draw_window
from .images import check_headers, list_images, list_split, load_image, load_window, normalise
from .masks import check_masks, draw_mask, load_mask

PAIRINGS = ("random", "index")
DRAWN_HOLES = ("strokes", "scales")
IMAGES, MASKS, WINDOWS = 0, 1, 2  # independent random streams of one seed


@lru_cache(maxsize=2)
def _epoch_order(seed: int, epoch: int, num_images: int) -> np.ndarray:
    return np.random.default_rng((seed, IMAGES, epoch)).permutation(num_images)


@dataclass(frozen=True)
class TrainingSamples:
    """Sample k = 0, 1, … without end: (image, mask) or (image, mask, edge, gray), float32 (C, S, S).

    mask_pairing "random": each epoch visits every image once, in an order of its own, with random masks; "index":
    images in their order, image i with mask i mod count. Without mask files, holes are drawn: "strokes" of
    `hole_min` to `hole_max` of the image, or those that filling by "scales" asks for (src/data/holes.py), where part
    of the image may be as a coarser filling leaves it. window_scale: cut a random window from the image (see
    random_window); 0 takes the image whole.
    """

    image_paths: Sequence[Path]
    image_size: int
    seed: int
    mask_polarity: str
    mask_pairing: str
    hole_min: float
    hole_max: float
    drawn_holes: str
    center_crop: int
    window_scale: float
    sigma: float
    mask_paths: Sequence[Path] = ()
    edge_mode: str | None = None  # None for networks without a structure stream: no edge, no gray

    def __post_init__(self) -> None:
        if self.mask_pairing not in PAIRINGS:
            raise InputError(f"mask_pairing '{self.mask_pairing}' is unknown; choose one of {', '.join(PAIRINGS)}")
        if self.drawn_holes not in DRAWN_HOLES:
            raise InputError(f"drawn_holes '{self.drawn_holes}' is unknown; choose one of {', '.join(DRAWN_HOLES)}")
        if 0 < self.window_scale < 1:
            raise InputError(f"window_scale {self.window_scale} enlarges images; 0 is off, 1 and more cut windows")

    def check_files(self) -> None:
        """Read every file's header once, so that a broken one stops a run before it starts. Raises InputError."""
        check_headers(self.image_paths, self.center_crop)
        if self.mask_paths:
            check_masks(self.mask_paths, self.mask_polarity)

    @property
    def columns(self) -> tuple[str, ...]:
        return ("image", "mask", "edge", "gray") if self.edge_mode else ("image", "mask")

    def __getitem__(self, k: int) -> tuple[np.ndarray, ...]:
        image, mask = self._with_mask(self._image(k), k)
        return normalise(image), mask, *self._structure(image, mask)

    def image_path(self, k: int) -> Path:
        epoch, position = divmod(k, len(self.image_paths))
        if self.mask_pairing == "index":
            return self.image_paths[position]
        return self.image_paths[_epoch_order(self.seed, epoch, len(self.image_paths))[position]]

    def _image(self, k: int) -> np.ndarray:
        if not self.window_scale:
            return load_image(self.image_path(k), self.image_size, self.center_crop)
        rng = np.random.default_rng((self.seed, WINDOWS, self._number(k)))
        return load_window(self.image_path(k), self.image_size, self.window_scale, rng, self.center_crop)

    def _number(self, k: int) -> int:
        """What the chance of a sample follows from: with "index" an image always has the same mask and window."""
        return k % len(self.image_paths) if self.mask_pairing == "index" else k

    def _with_mask(self, image: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """-> the image as the network is to know it, and its mask"""
        number, size = self._number(k), self.image_size
        rng = np.random.default_rng((self.seed, MASKS, number))
        if self.mask_paths:
            choice = number if self.mask_pairing == "index" else int(rng.integers(len(self.mask_paths)))
            path = self.mask_paths[choice % len(self.mask_paths)]
            return image, load_mask(path, size, self.mask_polarity, self.image_path(k))
        if self.drawn_holes == "strokes":
            return image, draw_mask(rng, size, self.hole_min, self.hole_max)
        band, deep = draw_window(rng, size)
        if deep.any():
            image = np.where(deep[..., None], coarser_filling(rng, image, band | deep), image)
        return image, (~band[None]).astype(np.float32)

    def _structure(self, image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, ...]:
        """edge and gray. In a hole the edges are the true ones, which are to be learned; networks see none of them."""
        if not self.edge_mode:
            return ()
        edge, gray = edge_and_gray(image, self.edge_mode, self.sigma)
        if self.edge_mode == "clean":  # around it they are those of known pixels alone, as inference finds them
            known = mask[0] == 1
            edge = np.where(known, edge_map(gray[0].astype(np.float64), self.edge_mode, self.sigma, known), edge)
        return edge, gray


def training_samples(config, with_structure: bool) -> TrainingSamples:
    """The images and masks of a run; `check_files` is left to the caller. Raises InputError."""
    images = list_split(config.data_root, config.anno_path, "train")
    masks = []
    if config.train_masks_root:
        masks = list_images(config.train_masks_root)
    elif config.hole_min > config.hole_max:
        raise InputError(f"--hole_min {config.hole_min} is above --hole_max {config.hole_max}")
    return TrainingSamples(
        images,
        config.image_size,
        config.seed,
        mask_paths=masks,
        mask_polarity=config.mask_polarity,
        mask_pairing=config.mask_pairing,
        hole_min=config.hole_min,
        hole_max=config.hole_max,
        drawn_holes=config.drawn_holes,
        center_crop=config.center_crop,
        window_scale=config.window_scale,
        edge_mode=config.edge_mode if with_structure else None,
        sigma=config.sigma,
    )


class EvaluationSample(NamedTuple):
    """One image with its mask. edge and gray are None for networks without a structure stream."""

    name: str
    pixels: np.ndarray  # uint8 (S, S, 3), the image
    image: np.ndarray  # float32 (3, S, S) in [-1, 1]
    mask: np.ndarray  # float32 (1, S, S), 1 = known
    edge: np.ndarray | None  # float32 (1, S, S)
    gray: np.ndarray | None  # float32 (1, S, S)


@dataclass(frozen=True)
class EvaluationSamples:
    """Image i with mask i mod count; a name is the path below the folder that holds all images."""

    image_paths: Sequence[Path]
    mask_paths: Sequence[Path]
    image_size: int
    mask_polarity: str
    center_crop: int
    sigma: float
    edge_mode: str | None = None

    def __len__(self) -> int:
        return len(self.image_paths)

    def __getitem__(self, i: int) -> EvaluationSample:
        pixels = load_image(self.image_paths[i], self.image_size, self.center_crop)
        mask = load_mask(self.mask_path(i), self.image_size, self.mask_polarity, self.image_paths[i])
        edge, gray = None, None
        if self.edge_mode:
            edge, gray = edge_and_gray(pixels, self.edge_mode, self.sigma, known=mask[0] == 1)
        return EvaluationSample(self.names[i], pixels, normalise(pixels), mask, edge, gray)

    def mask_path(self, i: int) -> Path:
        return self.mask_paths[i % len(self.mask_paths)]

    @cached_property
    def names(self) -> list[str]:
        folder = os.path.commonpath([path.parent for path in self.image_paths])
        return [path.relative_to(folder).as_posix() for path in self.image_paths]

    def batches(self, batch_size: int, num_threads: int = 2) -> Iterator[list[EvaluationSample]]:
        """All samples in order, the last batch perhaps smaller; the next batch is read meanwhile."""
        with ThreadPoolExecutor(num_threads) as pool:
            coming = None
            for first in range(0, len(self), batch_size):
                ready, coming = coming, pool.map(self.__getitem__, range(first, min(first + batch_size, len(self))))
                if ready:
                    yield list(ready)
            if coming:
                yield list(coming)
