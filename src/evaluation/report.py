"""What an evaluation leaves behind: tables for people and for programs, and images to look at."""

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from ..data.images import to_uint8
from ..drawing.hole import around_hole
from ..drawing.sheet import Row, draw_sheet
from ..files import staged
from ..versions import versions
from .buckets import BUCKETS, FID, Scores, markdown_table
from .evaluation import Evaluation

FILES = ("metrics.json", "metrics.md", "per_image.csv", "contact_sheet.png")
WHITE = np.uint8(255)  # holes in the sheet's inputs
PANEL = 320  # pixels of an image's side on the sheet
LEAST = 64  # pixels of the network's that it shows at least


def write_report(folder: Path, evaluation: Evaluation, facts: Mapping[str, object]) -> str:
    """Write FILES into `folder`, all or none, and return the table.

    facts: what only the caller knows of how the numbers came about, for "protocol" in metrics.json.
    """
    summaries = {name: scores.summary() for name, scores in evaluation.scores.items()}
    table = markdown_table(evaluation.scores, summaries, evaluation.protocol, evaluation.samples.image_size)
    metrics = summaries.pop(evaluation.name)
    samples = evaluation.samples
    how = {
        "pairing": f"image i with mask i mod {len(samples.mask_paths)}",
        "pictures": len(samples),
        "masks": len(samples.mask_paths),
        "image_size": samples.image_size,
    }
    protocol = {**asdict(evaluation.protocol), **how, **facts, "versions": versions()}
    metrics |= {"baselines": summaries, "speed": evaluation.speed, "protocol": protocol}
    with staged(folder) as new:
        (new / "metrics.json").write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        (new / "metrics.md").write_text(table, encoding="utf-8")
        write_csv(new / "per_image.csv", evaluation)
        contact_sheet(evaluation).save(new / "contact_sheet.png")
    return table


def write_csv(path: Path, evaluation: Evaluation) -> None:
    """A row for each image; the columns of baselines carry their names."""
    prefixes = ["" if name == evaluation.name else f"{name}_" for name in evaluation.scores]
    metrics = [metric for metric in evaluation.metrics if metric != FID]
    titles = [f"{prefix}{metric}" for prefix in prefixes for metric in metrics]
    with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:  # names may be anything
        writer = csv.writer(file)
        writer.writerow(["name", "mask", "hole_ratio", "bucket", *titles])
        for i, scores in enumerate(zip(*(each.scores for each in evaluation.scores.values()), strict=True)):
            mask = evaluation.samples.mask_path(i).name
            numbers = [getattr(score, metric) for score in scores for metric in metrics]
            writer.writerow([scores[0].name, mask, scores[0].hole_ratio, scores[0].bucket, *numbers])


def contact_sheet(evaluation: Evaluation) -> Image.Image:
    """The hole in the input, what every method made of it, and truth, for the best, median and worst of each bucket."""
    rows = []
    for label, i in extremes(evaluation.scores[evaluation.name]):
        sample = evaluation.samples[i]
        hole = sample.mask[0] == 0
        masked = np.where(hole[..., None], WHITE, sample.pixels)
        # Completed once more: keeping them all until it is known which are wanted would take gigabytes.
        completed = [to_uint8(complete([sample])[0]) for complete in evaluation.methods.values()]
        scores = [each.scores[i] for each in evaluation.scores.values()]
        notes = [f"{scores[0].hole_ratio:.1%} hole", *(f"PSNR {s.psnr:.2f}  SSIM {s.ssim:.3f}" for s in scores)]
        window = around_hole(hole, LEAST)
        side = window[0].stop - window[0].start
        images = [_enlarged(image[window]) for image in (masked, *completed, sample.pixels)]
        where = f"{side}x{side} of {len(hole)}x{len(hole)} pixels"
        rows.append(Row(images, f"{label}: {sample.name}, {where}", notes))
    return draw_sheet(["input", *evaluation.methods, "truth"], rows)


def _enlarged(image: np.ndarray) -> np.ndarray:
    """uint8 (S, S, 3) -> uint8 (PANEL, PANEL, 3)"""
    return np.asarray(Image.fromarray(image).resize((PANEL, PANEL), Image.Resampling.LANCZOS))


def extremes(scores: Scores) -> list[tuple[str, int]]:
    """("0-20%, best", number of that image) and so on: by PSNR, each image once."""
    chosen: dict[int, str] = {}
    for bucket, _ in BUCKETS:
        order = [i for i, score in enumerate(scores.scores) if score.bucket == bucket]
        order.sort(key=lambda i: scores.scores[i].psnr, reverse=True)
        places = {"best": 0, "median": len(order) // 2, "worst": -1} if order else {}
        for place, k in places.items():
            chosen.setdefault(order[k], f"{bucket}, {place}")
    return [(label, i) for i, label in chosen.items()]
