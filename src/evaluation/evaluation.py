"""Scoring a network, and classical methods beside it, picture by picture."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from src.data.dataset import EvaluationSample, EvaluationSamples
from src.data.images import normalise
from src.evaluation.baselines import inpaint_baseline
from src.evaluation.buckets import Scores, hole_ratio
from src.evaluation.image_quality import Protocol, mae, psnr, ssim
from src.inference.inpainter import Inpainter
from src.progress import Progress

# A way to complete pictures: samples -> composites, float32 (B, 3, S, S) in [-1, 1].
Method = Callable[[Sequence[EvaluationSample]], np.ndarray]


def network_method(inpainter: Inpainter) -> Method:
    def complete(samples: Sequence[EvaluationSample]) -> np.ndarray:
        columns = {name: np.stack([getattr(sample, name) for sample in samples]) for name in inpainter.inputs}
        return inpainter.complete(**columns)

    return complete


def baseline_method(name: str) -> Method:
    def complete(samples: Sequence[EvaluationSample]) -> np.ndarray:
        return np.stack([normalise(inpaint_baseline(name, sample.picture, sample.mask)) for sample in samples])

    return complete


@dataclass
class Evaluation:
    """Methods on samples under a protocol. The first method is the one under test, the others are baselines."""

    samples: EvaluationSamples
    methods: Mapping[str, Method]
    protocol: Protocol
    scores: dict[str, Scores] = field(init=False)  # by method
    speed: dict[str, float | int | None] = field(init=False)

    @property
    def name(self) -> str:
        """The method under test."""
        return next(iter(self.methods))

    def run(self, batch_size: int = 1, num_workers: int = 1) -> None:
        """Score everything; workers read pictures ahead, and score those of a batch."""
        self.scores = {name: Scores() for name in self.methods}
        seconds = []  # of the method under test, for each batch
        begin = time.perf_counter()
        with Progress(len(self.samples), "Evaluating") as progress, ThreadPoolExecutor(num_workers) as pool:
            for batch in self.samples.batches(batch_size, num_workers):
                for name, complete in self.methods.items():
                    start = time.perf_counter()
                    composites = complete(batch)
                    if name == self.name:
                        seconds.append(time.perf_counter() - start)
                    for row in pool.map(score, batch, composites, [self.protocol] * len(batch)):
                        self.scores[name].add(*row)
                progress.update(len(batch))
        self.speed = {
            "pictures_per_second": len(self.samples) / (time.perf_counter() - begin),  # everything included
            "network_seconds": sum(seconds),
            "network_seconds_first_batch": seconds[0],  # with a graph's compilation
            "network_seconds_per_picture": sum(seconds[1:]) / (len(self.samples) - batch_size) if seconds[1:] else None,
            "batch_size": batch_size,
        }


def score(sample: EvaluationSample, composite: np.ndarray, protocol: Protocol) -> tuple:
    """Name, hole ratio, PSNR, SSIM and MAE of one completed picture (3, S, S)."""
    # Both come from [-1, 1] by the same arithmetic, so that known pixels stay exactly equal.
    ours, truth = ((array.transpose(1, 2, 0) + 1) / 2 for array in (composite, sample.image))
    return sample.name, hole_ratio(sample.mask), *(metric(ours, truth, protocol) for metric in (psnr, ssim, mae))
