"""Loss curves as a picture, drawn without a plotting package so that the core needs none."""

import csv
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

PANEL, MARGIN = (360, 200), (56, 24)  # pixels: the plot's area, and what is left of it and around it for words
INK, GRID, PAPER = (20, 20, 20), (225, 225, 225), (255, 255, 255)
RAW, SMOOTH = (170, 195, 225), (25, 80, 160)


def draw_curves(metrics: Path, picture: Path, columns: int = 3) -> None:
    """One panel for each loss of a metrics.csv, over iterations: each row faint, their running mean strong.

    Rows of iterations that were skipped are left out.

    The vertical axis is logarithmic where all values are positive. A loss that is not in use (0 throughout) is left
    out, and nothing is drawn for fewer than two rows.
    """
    with open(metrics, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if not {"nan", "inf", "-inf"} & set(row.values())]
    if len(rows) < 2:
        return
    names = [name for name in rows[0] if "loss" in name and any(float(row[name]) for row in rows)]
    iterations = np.array([float(row["iteration"]) for row in rows])
    width, height = PANEL[0] + MARGIN[0] + 16, PANEL[1] + 2 * MARGIN[1]
    sheet = Image.new("RGB", (width * columns, height * math.ceil(len(names) / columns)), PAPER)
    for i, name in enumerate(names):
        panel = _panel(name, iterations, np.array([float(row[name]) for row in rows]), (width, height))
        sheet.paste(panel, (i % columns * width, i // columns * height))
    sheet.save(picture)


def _panel(name: str, iterations: np.ndarray, values: np.ndarray, size: tuple[int, int]) -> Image.Image:
    panel = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(panel)
    logarithmic = bool((values > 0).all())
    heights = np.log10(values) if logarithmic else values
    low, high = float(heights.min()), float(heights.max())
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    left, top = MARGIN
    right, bottom = left + PANEL[0], top + PANEL[1]

    x = left + (iterations - iterations[0]) / (iterations[-1] - iterations[0]) * PANEL[0]
    to_y = lambda v: bottom - (v - low) / (high - low) * PANEL[1]  # noqa: E731
    for tick in np.linspace(low, high, 5):
        draw.line([(left, to_y(tick)), (right, to_y(tick))], GRID)
        text = f"{10**tick if logarithmic else tick:.3g}"
        draw.text((left - 6, to_y(tick)), text, INK, anchor="rm")
    draw.rectangle([left, top, right, bottom], outline=INK)
    draw.line(list(zip(x, to_y(heights), strict=True)), RAW)
    draw.line(list(zip(x, to_y(_running_mean(heights)), strict=True)), SMOOTH, 2)
    draw.text(((left + right) / 2, top - 12), name + (" (log scale)" if logarithmic else ""), INK, anchor="mm")
    draw.text((left, bottom + 10), f"{iterations[0]:.0f}", INK, anchor="mm")
    draw.text((right, bottom + 10), f"{iterations[-1]:.0f}", INK, anchor="rm")
    draw.text(((left + right) / 2, bottom + 10), "iteration", INK, anchor="mm")
    return panel


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Mean over the rows around each one, about a twentieth of all."""
    half = max(len(values) // 40, 1)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first = np.clip(np.arange(len(values)) - half, 0, None)
    last = np.clip(np.arange(len(values)) + half + 1, None, len(values))
    return (sums[last] - sums[first]) / (last - first)
