"""A page to look at after a run: each image around its hole before, where that is, and after; and what failed."""

import base64
import io
from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ..drawing.hole import around_hole
from .image_files import UserImage
from .jobs import Job

SIDE = 512  # pixels of an image's longer side on the page
LEAST = 256  # pixels of the user's image that it shows at least
FRAME = (220, 30, 30)
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fafafa; max-width: 1160px; margin: 2em auto;
  padding: 0 1em }
h1 { font-size: 1.4em; font-weight: 600 }
section { background: #fff; border: 1px solid #ddd; border-radius: 6px; margin: 1.2em 0; padding: .8em 1em;
  break-inside: avoid }
section.failed { border-color: #c33 }
h2 { font-size: 1em; margin: 0; overflow-wrap: anywhere }
p { margin: 0 0 .6em; color: #666 }
.row { display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px }
figure { margin: 0 }
figcaption { font-size: .85em; color: #666 }
img { display: block; width: 100% }
li { overflow-wrap: anywhere }
"""


class Report:
    """Collects rows; `html` makes one page of them that needs no other file."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    def add(self, job: Job, before: UserImage, hole: np.ndarray, after: UserImage, seconds: float) -> None:
        """hole: float32 (H, W) in [0, 1], 1 where the image was filled."""
        height, width = hole.shape
        rows, columns = around_hole(hole > 0, LEAST)
        place = (columns.start, rows.start, columns.stop, rows.stop)
        mask = _small(Image.fromarray(np.rint(hole * 255).astype(np.uint8))).convert("RGB")
        scale = mask.width / width
        ImageDraw.Draw(mask).rectangle([round(scale * edge) for edge in place], outline=FRAME, width=2)
        images = (
            ("before", shown(before).crop(place)),
            ("mask", mask),
            ("after", shown(after).crop(place)),
        )
        captions = {"mask": "mask of the whole image; in the frame is what is shown"}
        figures = "".join(
            f'<figure><img src="{_data_uri(image)}" alt="{name}"><figcaption>{captions.get(name, name)}</figcaption>'
            "</figure>"
            for name, image in images
        )
        facts = f"{width}x{height} pixels, {hole.mean():.1%} filled, {seconds:.1f} s, written to {job.output}"
        self.rows.append(
            f"<section><h2>{escape(str(job.image))}</h2><p>{escape(facts)}</p>"
            f'<div class="row">{figures}</div></section>'
        )

    def html(self, failures: Mapping[Job, str]) -> str:
        """The page. failures: what could not be filled, and why."""
        total = len(self.rows) + len(failures)
        title = f"{len(self.rows)} of {total} {'image' if total == 1 else 'images'} filled"
        lines = [why if str(job.image) in why else f"{job.image}: {why}" for job, why in failures.items()]
        failed = "".join(f"<li>{escape(line)}</li>" for line in lines)
        if failed:
            failed = f'<section class="failed"><h2>Could not be filled</h2><ul>{failed}</ul></section>'
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{title}</title><style>{STYLE}</style></head>\n"
            f"<body>\n<h1>{title}</h1>\n{failed}\n{chr(10).join(self.rows)}\n</body>\n</html>\n"
        )

    def write(self, path: Path, failures: Mapping[Job, str]) -> None:
        path.write_text(self.html(failures), encoding="utf-8", errors="backslashreplace")  # names may be anything


def shown(image: UserImage) -> Image.Image:
    """8-bit RGB as on a white page."""
    rgb = image.rgb()
    page = Image.fromarray(_eight_bits(rgb))
    if image.alpha is None:
        return page
    white = Image.new("RGB", page.size, "white")
    white.paste(page, mask=Image.fromarray(_eight_bits(image.alpha)))
    return white


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def _small(image: Image.Image) -> Image.Image:
    image.thumbnail((SIDE, SIDE))
    return image


def _data_uri(image: Image.Image) -> str:
    file = io.BytesIO()
    _small(image).save(file, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
