"""Loss curves as an image, drawn without a plotting package so that the core needs none."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

PANEL, MARGIN = (360, 200), (56, 24)  # pixels: the plot's area, and what is left of it and around it for words
INK, GRID, PAPER = (20, 20, 20), (225, 225, 225), (255, 255, 255)
RAW, SMOOTH = (170, 195, 225), (25, 80, 160)
COLOURS = (SMOOTH, (200, 60, 40), (40, 140, 60), (230, 140, 20), (130, 70, 160), (90, 90, 90))

Series = tuple[np.ndarray, np.ndarray]  # iterations, values


def draw_curves(metrics: Path, output: Path, columns: int = 3) -> None:
    """One panel for each loss of a metrics.csv, over iterations: each row faint, their running mean strong.

    Rows of iterations that were skipped are left out.

    The vertical axis is logarithmic where all values are positive. A loss that is not in use (0 throughout) is left
    out, and nothing is drawn for fewer than two rows.
    """
    losses = read_losses(metrics)
    if not losses or len(next(iter(losses.values()))[0]) < 2:
        return
    size = panel_size()
    sheet = Image.new("RGB", (size[0] * columns, size[1] * math.ceil(len(losses) / columns)), PAPER)
    for i, (name, series) in enumerate(losses.items()):
        sheet.paste(draw_panel(name, {"": series}), (i % columns * size[0], i // columns * size[1]))
    sheet.save(output)


def read_losses(metrics: Path) -> dict[str, Series]:
    """The losses in use, by the names of their columns, without rows of iterations that were skipped."""
    with open(metrics, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if not {"nan", "inf", "-inf"} & set(row.values())]
    names = [name for name in rows[0] if "loss" in name and any(float(row[name]) for row in rows)] if rows else []
    iterations = np.array([float(row["iteration"]) for row in rows])
    return {name: (iterations, np.array([float(row[name]) for row in rows])) for name in names}


def panel_size() -> tuple[int, int]:
    return PANEL[0] + MARGIN[0] + 16, PANEL[1] + 2 * MARGIN[1]


def draw_panel(title: str, curves: Mapping[str, Series]) -> Image.Image:
    """Running means of curves over the same axes, with their names; of one without a name its values too, faint."""
    panel = Image.new("RGB", panel_size(), PAPER)
    draw = ImageDraw.Draw(panel)
    logarithmic = all((values > 0).all() for _, values in curves.values())
    heights = {name: np.log10(values) if logarithmic else values for name, (_, values) in curves.items()}
    strong = {name: _running_mean(values) for name, values in heights.items()}
    shown = [*strong.values(), *(heights.values() if "" in curves else ())]
    low, high = min(float(values.min()) for values in shown), max(float(values.max()) for values in shown)
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    first = min(iterations[0] for iterations, _ in curves.values())
    last = max(iterations[-1] for iterations, _ in curves.values())
    left, top = MARGIN
    right, bottom = left + PANEL[0], top + PANEL[1]

    def points(iterations: np.ndarray, values: np.ndarray) -> list[tuple[float, float]]:
        return list(zip(left + (iterations - first) / (last - first) * PANEL[0], to_y(values), strict=True))

    to_y = lambda v: bottom - (v - low) / (high - low) * PANEL[1]  # noqa: E731
    for tick in np.linspace(low, high, 5):
        draw.line([(left, to_y(tick)), (right, to_y(tick))], GRID)
        text = f"{10**tick if logarithmic else tick:.3g}"
        draw.text((left - 6, to_y(tick)), text, INK, anchor="rm")
    draw.rectangle([left, top, right, bottom], outline=INK)
    for i, (name, (iterations, _)) in enumerate(curves.items()):
        if not name:
            draw.line(points(iterations, heights[name]), RAW)
        draw.line(points(iterations, strong[name]), COLOURS[i % len(COLOURS)], 2)
        draw.text((right - 6, top + 10 + 12 * i), name, COLOURS[i % len(COLOURS)], anchor="rm")
    draw.text(((left + right) / 2, top - 12), title + (" (log scale)" if logarithmic else ""), INK, anchor="mm")
    draw.text((left, bottom + 10), f"{first:.0f}", INK, anchor="mm")
    draw.text((right, bottom + 10), f"{last:.0f}", INK, anchor="rm")
    draw.text(((left + right) / 2, bottom + 10), "iteration", INK, anchor="mm")
    return panel


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Mean over the rows around each one, about a twentieth of all."""
    half = max(len(values) // 40, 1)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first = np.clip(np.arange(len(values)) - half, 0, None)
    last = np.clip(np.arange(len(values)) + half + 1, None, len(values))
    return (sums[last] - sums[first]) / (last - first)
