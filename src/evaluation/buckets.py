"""Scores by hole ratio, as the papers' tables have them: per image, every mask in exactly one bucket."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from .fid import frechet_distance
from .image_quality import Protocol

# Name and upper edge, which belongs to the bucket. Above 60 % and without any hole are rows of their own, and both
# count in "overall": no image is dropped.
BUCKETS = (("0%", 0.0), ("0-20%", 0.2), ("20-40%", 0.4), ("40-60%", 0.6), (">60%", 1.0))
METRICS = ("psnr", "ssim", "mae")
# All there are, with their titles and digits in tables. FID is of a set of images, the others of each.
COLUMNS = {
    "psnr": ("PSNR", 2),
    "ssim": ("SSIM", 4),
    "mae": ("MAE", 4),
    "lpips": ("LPIPS", 4),
    "lpips_vgg": ("LPIPS (VGG)", 4),
    "fid": ("FID", 2),
}
FID = "fid"


def hole_ratio(known: np.ndarray) -> float:
    """Mask of any shape, 1 = known -> the hole's part of it, from pixel counts: a fifth is exactly 0.2."""
    return np.count_nonzero(known == 0) / known.size


def bucket_of(ratio: float) -> str:
    """The bucket a hole ratio in [0, 1] falls in."""
    if not 0 <= ratio <= 1:
        raise ValueError(f"hole ratio {ratio} is not within [0, 1]")
    return next(name for name, upper in BUCKETS if ratio <= upper)


@dataclass(frozen=True)
class Score:
    """One image's scores: a row of per_image.csv. What was not asked for is None."""

    name: str
    hole_ratio: float
    psnr: float
    ssim: float
    mae: float
    lpips: float | None = None
    lpips_vgg: float | None = None
    # (2048,) each, for FID: of the composite and of the truth.
    features: tuple[np.ndarray | None, np.ndarray | None] = (None, None)

    @property
    def bucket(self) -> str:
        return bucket_of(self.hole_ratio)


@dataclass
class Scores:
    """Collects the scores of a run and averages them over each bucket and over all images.

    metrics: which of COLUMNS are reported
    """

    metrics: Sequence[str] = METRICS
    scores: list[Score] = field(default_factory=list)

    def add(self, score: Score) -> None:
        values = [getattr(score, metric) for metric in (*METRICS, *self.metrics) if metric != FID]
        if not all(map(math.isfinite, values)):  # a single one would make the mean of its bucket infinite or NaN
            raise InputError(f"{score.name}: scores are not all finite ({values}); check the checkpoint")
        bucket_of(score.hole_ratio)
        self.scores.append(score)

    def summary(self) -> dict:
        """{"buckets": {"0-20%": {"psnr", "ssim", "mae", "count"}, …}, "overall": {…}}, ready for JSON.

        Means of empty buckets are None, as is FID of fewer than two images. "0%" appears only if there were masks
        without a hole.
        """
        groups = {name: [score for score in self.scores if score.bucket == name] for name, _ in BUCKETS}
        if not groups["0%"]:
            del groups["0%"]
        means = {name: self._means(group) for name, group in groups.items()}
        return {"buckets": means, "overall": self._means(self.scores)}

    def _means(self, scores: list[Score]) -> dict:
        return {metric: _mean(metric, scores) for metric in self.metrics} | {"count": len(scores)}


def markdown_table(
    methods: Mapping[str, Scores], summaries: Mapping[str, dict], protocol: Protocol, image_size: int
) -> str:
    """Scores and their summaries by method -> a table with a row per method and bucket that has images.

    Below it stand protocol and size: numbers of others are of other images.
    """
    metrics = next(iter(methods.values())).metrics
    titles = " | ".join(COLUMNS[metric][0] for metric in metrics)
    lines = [f"| Hole | Method | {titles} | Images |", f"|---|---|{'---:|' * len(metrics)}---:|"]
    for bucket in [name for name, _ in BUCKETS] + ["overall"]:
        for method, summary in summaries.items():
            means = {**summary["buckets"], "overall": summary["overall"]}.get(bucket)
            if means and means["count"]:
                cells = " | ".join(_cell(means[metric], COLUMNS[metric][1]) for metric in metrics)
                lines.append(f"| {bucket} | {method} | {cells} | {means['count']} |")

    lines += ["", f"Protocol `{protocol.name}`, measured at {image_size}x{image_size} pixels: means over images."]
    if FID in metrics:
        lines.append("FID: all completed images of a row against the true ones; it depends on how many there are.")
    perfect = {
        method: sum(score.psnr >= protocol.perfect_psnr for score in scores.scores)
        for method, scores in methods.items()
    }
    if any(perfect.values()):
        counts = ", ".join(f"{count} of {method}" for method, count in perfect.items() if count)
        lines.append(f"Perfect images count as PSNR {protocol.perfect_psnr:g}: {counts}.")
    return "\n".join(lines) + "\n"


def _mean(metric: str, scores: list[Score]) -> float | None:
    if metric == FID:
        features = [np.stack(each) for each in zip(*(score.features for score in scores), strict=True)]
        return frechet_distance(*features) if len(scores) > 1 else None
    return float(np.mean([getattr(score, metric) for score in scores])) if scores else None


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
