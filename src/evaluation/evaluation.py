"""Scoring a network, and classical methods beside it, image by image."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..data.images import normalise
from ..data.samples import EvaluationSample, EvaluationSamples
from ..inference.batches import Network, run_batches
from ..inference.inpainter import Inpainter
from ..progress import Progress
from .baselines import inpaint_baseline
from .buckets import FID, METRICS, Score, Scores, hole_ratio
from .image_quality import Protocol, mae, psnr, ssim

# A way to complete images: samples -> composites, float32 (B, 3, S, S) in [-1, 1].
Method = Callable[[Sequence[EvaluationSample]], np.ndarray]


def network_method(inpainter: Inpainter) -> Method:
    def complete(samples: Sequence[EvaluationSample]) -> np.ndarray:
        columns = {name: np.stack([getattr(sample, name) for sample in samples]) for name in inpainter.inputs}
        return inpainter.complete(**columns)

    return complete


def baseline_method(name: str) -> Method:
    def complete(samples: Sequence[EvaluationSample]) -> np.ndarray:
        return np.stack([normalise(inpaint_baseline(name, sample.pixels, sample.mask)) for sample in samples])

    return complete


@dataclass
class Evaluation:
    """Methods on samples under a protocol. The first method is the one under test, the others are baselines."""

    samples: EvaluationSamples
    methods: Mapping[str, Method]
    protocol: Protocol
    metrics: Sequence[str] = METRICS
    networks: Mapping[str, Network] = field(default_factory=dict)  # of metrics, see load_networks
    scores: dict[str, Scores] = field(init=False)  # by method
    speed: dict[str, float | int | None] = field(init=False)

    @property
    def name(self) -> str:
        """The method under test."""
        return next(iter(self.methods))

    def run(self, batch_size: int = 1, num_workers: int = 1) -> None:
        """Score everything; workers read images ahead, and score those of a batch."""
        self.scores = {name: Scores(self.metrics) for name in self.methods}
        seconds = []  # of the method under test, for each batch
        begin = time.perf_counter()
        with Progress(len(self.samples), "Evaluating") as progress, ThreadPoolExecutor(num_workers) as pool:
            for batch in self.samples.batches(batch_size, num_workers):
                truths = np.stack([sample.image for sample in batch])
                true_features = self.features(truths, batch_size)
                for name, complete in self.methods.items():
                    start = time.perf_counter()
                    composites = complete(batch)
                    if name == self.name:
                        seconds.append(time.perf_counter() - start)
                    distances = self.distances(composites, truths, batch_size)
                    features = zip(self.features(composites, batch_size), true_features, strict=True)
                    scored = pool.map(score, batch, composites, [self.protocol] * len(batch))
                    for each, perceptual, pair in zip(scored, distances, features, strict=True):
                        self.scores[name].add(replace(each, **perceptual, features=pair))
                progress.update(len(batch))
        self.speed = {
            "pictures_per_second": len(self.samples) / (time.perf_counter() - begin),  # everything included
            "network_seconds": sum(seconds),
            "network_seconds_first_batch": seconds[0],  # with a graph's compilation
            "network_seconds_per_picture": sum(seconds[1:]) / (len(self.samples) - batch_size) if seconds[1:] else None,
            "batch_size": batch_size,
        }

    def distances(self, composites: np.ndarray, truths: np.ndarray, batch_size: int) -> list[dict[str, Any]]:
        """Of each pair (3, S, S), by the metrics that networks compute."""
        pair, names = [composites, truths], [name for name in self.networks if name != FID]
        columns = {name: run_batches(self.networks[name], pair, batch_size)[0] for name in names}
        return [{name: float(column[i]) for name, column in columns.items()} for i in range(len(truths))]

    def features(self, images: np.ndarray, batch_size: int) -> Sequence[np.ndarray | None]:
        """(B, 3, S, S) -> (B, 2048), where FID is asked for."""
        if FID not in self.networks:
            return [None] * len(images)
        return list(run_batches(self.networks[FID], [images], batch_size)[0])


def score(sample: EvaluationSample, composite: np.ndarray, protocol: Protocol) -> Score:
    """PSNR, SSIM and MAE of one completed image (3, S, S)."""
    # Both come from [-1, 1] by the same arithmetic, so that known pixels stay exactly equal.
    ours, truth = ((array.transpose(1, 2, 0) + 1) / 2 for array in (composite, sample.image))
    scores = psnr(ours, truth, protocol), ssim(ours, truth, protocol), mae(ours, truth, protocol)
    return Score(sample.name, hole_ratio(sample.mask), *scores)
