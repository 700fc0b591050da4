"""Scores by hole ratio, as the papers' tables have them: per picture, every mask in exactly one bucket."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from src.errors import InputError
from src.evaluation.image_quality import Protocol

# Name and upper edge, which belongs to the bucket. Above 60 % and without any hole are rows of their own, and both
# count in "overall": no picture is dropped.
BUCKETS = (("0%", 0.0), ("0-20%", 0.2), ("20-40%", 0.4), ("40-60%", 0.6), (">60%", 1.0))
METRICS = ("psnr", "ssim", "mae")


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
    """One picture's scores: a row of per_image.csv."""

    name: str
    hole_ratio: float
    psnr: float
    ssim: float
    mae: float

    @property
    def bucket(self) -> str:
        return bucket_of(self.hole_ratio)


@dataclass
class Scores:
    """Collects the scores of a run and averages them over each bucket and over all pictures."""

    scores: list[Score] = field(default_factory=list)

    def add(self, name: str, hole_ratio: float, psnr: float, ssim: float, mae: float) -> None:
        score = Score(name, hole_ratio, psnr, ssim, mae)
        values = (score.psnr, score.ssim, score.mae)
        if not all(map(math.isfinite, values)):  # a single one would make the mean of its bucket infinite or NaN
            raise InputError(f"{name}: PSNR, SSIM and MAE are not all finite ({values}); check the checkpoint")
        bucket_of(hole_ratio)
        self.scores.append(score)

    def summary(self) -> dict:
        """{"buckets": {"0-20%": {"psnr", "ssim", "mae", "count"}, …}, "overall": {…}}, ready for JSON.

        Means of empty buckets are None. "0%" appears only if there were masks without a hole.
        """
        groups = {name: [score for score in self.scores if score.bucket == name] for name, _ in BUCKETS}
        if not groups["0%"]:
            del groups["0%"]
        return {"buckets": {name: _means(group) for name, group in groups.items()}, "overall": _means(self.scores)}

    def rows(self) -> list[dict]:
        """One dict per picture in the order they came, with name, hole_ratio, psnr, ssim, mae and bucket."""
        return [{**asdict(score), "bucket": score.bucket} for score in self.scores]


def markdown_table(methods: Mapping[str, Scores], protocol: Protocol) -> str:
    """{method: scores} -> a table with a row per bucket and method, which names its protocol."""
    lines = ["| Hole | Method | PSNR | SSIM | MAE | Pictures |", "|---|---|---:|---:|---:|---:|"]
    summaries = {method: scores.summary() for method, scores in methods.items()}
    for bucket in [name for name, _ in BUCKETS] + ["overall"]:
        for method, summary in summaries.items():
            means = {**summary["buckets"], "overall": summary["overall"]}.get(bucket)
            if means:
                lines.append(f"| {bucket} | {method} | {_cells(means)} | {means['count']} |")

    lines += ["", f"Protocol `{protocol.name}`: means over pictures."]
    perfect = {
        method: sum(score.psnr >= protocol.perfect_psnr for score in scores.scores)
        for method, scores in methods.items()
    }
    if any(perfect.values()):
        counts = ", ".join(f"{count} of {method}" for method, count in perfect.items() if count)
        lines.append(f"Perfect pictures count as PSNR {protocol.perfect_psnr:g}: {counts}.")
    return "\n".join(lines) + "\n"


def _means(scores: list[Score]) -> dict:
    means = {key: float(np.mean([getattr(s, key) for s in scores])) if scores else None for key in METRICS}
    return {**means, "count": len(scores)}


def _cells(means: dict) -> str:
    if not means["count"]:
        return "- | - | -"
    return f"{means['psnr']:.2f} | {means['ssim']:.4f} | {means['mae']:.4f}"
