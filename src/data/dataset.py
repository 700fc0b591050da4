"""Pictures with masks, for training and for evaluation.

What training sees is a pure function of (seed, sample number): resuming, more ranks and more workers change nothing.
"""

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import mindspore.dataset as ds
import numpy as np
from mindspore import Tensor

from src.data.edges import edge_and_gray
from src.data.images import load_image, load_window, normalise
from src.data.masks import draw_mask, load_mask
from src.errors import InputError

PAIRINGS = ("random", "index")
PICTURES, MASKS, WINDOWS = 0, 1, 2  # independent random streams of one seed

# MindSpore turns what a worker raises into text, a traceback that ends with the exception.
INPUT_ERROR = re.compile(r"^(?:[\w.]*\.)?InputError: (?!Traceback)(.+)$", re.MULTILINE)


@lru_cache(maxsize=2)
def _epoch_order(seed: int, epoch: int, num_images: int) -> np.ndarray:
    return np.random.default_rng((seed, PICTURES, epoch)).permutation(num_images)


@dataclass(frozen=True)
class TrainingSamples:
    """Sample k = 0, 1, … without end: (image, mask) or (image, mask, edge, gray), float32 (C, S, S).

    mask_pairing "random": each epoch visits every picture once, in an order of its own, with random masks; "index":
    pictures in their order, picture i with mask i mod count. Without mask files, strokes are drawn. window_scale: cut a
    random window from the picture (see random_window); 0 takes the picture whole.
    """

    image_paths: Sequence[Path]
    image_size: int
    seed: int
    mask_paths: Sequence[Path] = ()
    mask_polarity: str = "white_hole"
    mask_pairing: str = "random"
    hole_min: float = 0.05
    hole_max: float = 0.6
    center_crop: int = 0
    window_scale: float = 0.0
    edge_mode: str | None = None  # None for networks without a structure stream: no edge, no gray
    sigma: float = 2.0

    def __post_init__(self) -> None:
        if self.mask_pairing not in PAIRINGS:
            raise InputError(f"mask_pairing '{self.mask_pairing}' is unknown; choose one of {', '.join(PAIRINGS)}")
        if 0 < self.window_scale < 1:
            raise InputError(f"window_scale {self.window_scale} enlarges pictures; 0 is off, 1 and more cut windows")

    @property
    def columns(self) -> tuple[str, ...]:
        return ("image", "mask", "edge", "gray") if self.edge_mode else ("image", "mask")

    def __getitem__(self, k: int) -> tuple[np.ndarray, ...]:
        image = self._image(k)
        structure = edge_and_gray(image, self.edge_mode, self.sigma) if self.edge_mode else ()
        return normalise(image), self._mask(k), *structure

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
        """What the chance of a sample follows from: with "index" a picture always has the same mask and window."""
        return k % len(self.image_paths) if self.mask_pairing == "index" else k

    def _mask(self, k: int) -> np.ndarray:
        number = self._number(k)
        rng = np.random.default_rng((self.seed, MASKS, number))
        if not self.mask_paths:
            return draw_mask(rng, self.image_size, self.hole_min, self.hole_max)
        choice = number if self.mask_pairing == "index" else int(rng.integers(len(self.mask_paths)))
        return load_mask(self.mask_paths[choice % len(self.mask_paths)], self.image_size, self.mask_polarity)


@dataclass(frozen=True)
class _RankSamples:
    """The samples of one rank in the order it consumes them: what GeneratorDataset wants as a source."""

    samples: TrainingSamples
    start: int
    count: int
    batch_size: int
    rank: int
    world: int

    def __len__(self) -> int:
        return self.count * self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        iteration, position = divmod(int(index), self.batch_size)
        batch = (self.start + iteration) * self.world + self.rank
        return self.samples[batch * self.batch_size + position]


def build_training_dataset(
    samples: TrainingSamples,
    start: int,
    count: int,
    batch_size: int,
    rank: int = 0,
    world: int = 1,
    num_parallel_workers: int = 1,
) -> ds.Dataset:
    """The batches of iterations start … start + count - 1 for one of `world` ranks.

    Iteration i of all ranks together holds samples i·world·batch_size and on, rank 0 first: the same pictures as one
    process with the joint batch. Read it with `iterate`.
    """
    if not 0 <= rank < world:
        raise ValueError(f"rank {rank} is not one of {world}")
    if count < 1:
        raise ValueError(f"count {count}: there is no iteration to read pictures for")
    source = _RankSamples(samples, start, count, batch_size, rank, world)
    num_parallel_workers = min(num_parallel_workers, os.cpu_count() or 1)  # MindSpore refuses more
    ds.config.set_prefetch_size(4)  # batches ahead; MindSpore's 16 hold half a gigabyte of pictures
    dataset = ds.GeneratorDataset(
        source,
        list(samples.columns),
        shuffle=False,
        num_parallel_workers=num_parallel_workers,
        # Threads: decoding and filters run without Python's lock, so processes are no faster. And forked workers of
        # MindSpore 2.10 die, and end the run, when they collect what is left of an earlier dataset.
        python_multiprocessing=False,
    )
    return dataset.batch(batch_size, drop_remainder=True)


def iterate(dataset: ds.Dataset) -> Iterator[tuple[Tensor, ...]]:
    """One pass over the batches. A broken file raises its own InputError, not MindSpore's page about it."""
    try:
        yield from dataset.create_tuple_iterator(num_epochs=1)
    except RuntimeError as error:
        messages = INPUT_ERROR.findall(str(error))
        if not messages:
            raise
        raise InputError(messages[-1]) from None


class EvaluationSample(NamedTuple):
    """One picture with its mask. edge and gray are None for networks without a structure stream."""

    name: str
    picture: np.ndarray  # uint8 (S, S, 3)
    image: np.ndarray  # float32 (3, S, S) in [-1, 1]
    mask: np.ndarray  # float32 (1, S, S), 1 = known
    edge: np.ndarray | None  # float32 (1, S, S)
    gray: np.ndarray | None  # float32 (1, S, S)


@dataclass(frozen=True)
class EvaluationSamples:
    """Picture i with mask i mod count; a name is the path below the folder that holds all pictures."""

    image_paths: Sequence[Path]
    mask_paths: Sequence[Path]
    image_size: int
    mask_polarity: str = "white_hole"
    center_crop: int = 0
    edge_mode: str | None = None
    sigma: float = 2.0

    def __len__(self) -> int:
        return len(self.image_paths)

    def __getitem__(self, i: int) -> EvaluationSample:
        picture = load_image(self.image_paths[i], self.image_size, self.center_crop)
        mask = load_mask(self.mask_path(i), self.image_size, self.mask_polarity)
        edge, gray = None, None
        if self.edge_mode:
            edge, gray = edge_and_gray(picture, self.edge_mode, self.sigma, known=mask[0] == 1)
        return EvaluationSample(self.names[i], picture, normalise(picture), mask, edge, gray)

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
