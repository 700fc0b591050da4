"""MindSpore's pipeline over the samples of training."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import mindspore.dataset as ds
import numpy as np
from mindspore import Tensor

from ..errors import InputError
from .samples import TrainingSamples

# MindSpore turns what a worker raises into text, a traceback that ends with the exception.
INPUT_ERROR = re.compile(r"^(?:[\w.]*\.)?InputError: (?!Traceback)(.+)$", re.MULTILINE)


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

    Iteration i of all ranks together holds samples i·world·batch_size and on, rank 0 first: the same images as one
    process with the joint batch. Read it with `iterate`.
    """
    if not 0 <= rank < world:
        raise ValueError(f"rank {rank} is not one of {world}")
    if count < 1:
        raise ValueError(f"count {count}: there is no iteration to read images for")
    source = _RankSamples(samples, start, count, batch_size, rank, world)
    num_parallel_workers = min(num_parallel_workers, os.cpu_count() or 1)  # MindSpore refuses more
    ds.config.set_prefetch_size(4)  # batches ahead; MindSpore's 16 hold half a gigabyte of images
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
