"""Images side by side with a few words about them: what one looks at after a run."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

GAP, LINE = 4, 14  # pixels between images, and of a line of text
INK, PAPER = (0, 0, 0), (255, 255, 255)


@dataclass(frozen=True)
class Row:
    """uint8 (H, W, 3) images, a caption over the whole row and a note over each image."""

    images: Sequence[np.ndarray]
    caption: str = ""
    notes: Sequence[str] = ()


def draw_sheet(titles: Sequence[str], rows: Sequence[Row]) -> Image.Image:
    """A column for each title; all images have one size."""
    height, width = rows[0].images[0].shape[:2]
    columns = range(GAP, GAP + len(titles) * (width + GAP), width + GAP)
    words = LINE * any(row.caption for row in rows) + LINE * any(row.notes for row in rows)
    tops = range(LINE, LINE + len(rows) * (words + height + GAP), words + height + GAP)
    sheet = Image.new("RGB", (columns.stop, tops.stop), PAPER)
    draw = ImageDraw.Draw(sheet)

    def write(left: int, top: int, text: str) -> None:
        draw.text((left, top), text.encode("ascii", "replace").decode(), INK)  # what every font has

    for left, title in zip(columns, titles, strict=True):
        write(left, 0, title)
    for top, row in zip(tops, rows, strict=True):
        write(GAP, top, row.caption)
        for left, note in zip(columns, row.notes, strict=False):
            write(left, top + words - LINE, note)
        for left, image in zip(columns, row.images, strict=True):
            sheet.paste(Image.fromarray(image), (left, top + words))
    return sheet
