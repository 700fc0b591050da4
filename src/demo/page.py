"""The demo's page, made with Gradio: open an image, paint over what is to go, see before and after, download."""

import asyncio
import os
import shutil
import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path

import gradio as gr
import numpy as np
from gradio.components.image_editor import EditorValue
from PIL import Image

from ..errors import InputError
from ..inference.image_files import FORMATS, file_format, read_image
from ..inference.report import shown
from .api import stem_of
from .examples import write_examples
from .filler import Busy, Filler, Stopped, Task, accept, accept_image, names_alone

# Pixels of the longest side of what the browser shows; files keep theirs. The editor enlarges no more than ten times.
SIDE, SMALLEST_SIDE = 1280, 400
BRUSH = "#e5484d", 0.6  # colour and opacity
BRUSH_SHARE = 20  # of the shorter side of an image, a brush is one in so many
KEPT = 3600  # seconds that the files of a visit are kept

HEAD = Path(__file__).with_name("head.html").read_text(encoding="utf-8")
STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
TITLE = """# Image inpainting
Paint over what is to go, and the network fills it from its surroundings. Every other pixel stays as it is."""


@dataclass(frozen=True)
class Visit:
    """What a visitor has open.

    image: the file as it was uploaded, in a folder of its own; stem: of its name
    small: what the browser shows of it; strokes: what an example has painted on that, bool (H, W)
    """

    image: Path
    stem: str
    small: Image.Image
    strokes: np.ndarray | None

    def forget(self) -> None:
        shutil.rmtree(self.image.parent, ignore_errors=True)


def theme() -> gr.themes.Base:
    # The fonts of the visitor's system: those of Gradio's themes come from elsewhere.
    font, mono = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")
    return gr.themes.Default(primary_hue="indigo", neutral_hue="slate", font=font, font_mono=mono)


def small(image: Image.Image) -> Image.Image:
    """As the browser shows it."""
    image.thumbnail((SIDE, SIDE))
    times = max(1, SMALLEST_SIDE // max(image.size))
    return image.resize([times * side for side in image.size], Image.Resampling.NEAREST)


def drawn(image: Image.Image, strokes: np.ndarray | None = None) -> EditorValue:
    """The editor's value: an image to paint on, and what is painted on it, bool (H, W) of the same size."""
    colour = (*bytes.fromhex(BRUSH[0][1:]), round(255 * BRUSH[1]))
    layer = np.zeros((image.height, image.width, 4), np.uint8)
    if strokes is not None:
        layer[strokes] = colour
    layers: list = [] if strokes is None else [Image.fromarray(layer)]
    return {"background": image, "layers": layers, "composite": None}


class Page:
    """What happens when visitors do something. folder: for the files of visits."""

    def __init__(self, filler: Filler, folder: Path) -> None:
        self.filler, self.folder = filler, folder
        self.examples = write_examples(folder / "examples")
        self.running: dict[str | None, Task] = {}  # by the page's session

    def open_upload(self, upload: str, visit: Visit | None) -> tuple:
        """Of an image, opened, dropped or pasted."""
        return None, *self._open(Path(upload), visit)

    def open_example(self, number: int, visit: Visit | None) -> tuple:
        photo, strokes = self.examples[number]
        return self._open(photo, visit, strokes)

    def _open(self, path: Path, last: Visit | None, strokes: np.ndarray | None = None) -> tuple:
        own = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            upload = accept_image(Path(shutil.copyfile(path, own / "image")), self.filler.limits)
            with names_alone(own):
                seen = shown(read_image(upload))
        except InputError as error:
            shutil.rmtree(own)
            raise refusal(error, "This image cannot be opened") from None
        if last:
            last.forget()
        note = f"<strong>{escape(path.name)}</strong> {seen.width}x{seen.height} pixels, {file_format(upload)}"
        visit = Visit(upload, stem_of(path.name), small(seen), strokes)
        # Hidden, the editor is taken off the page: one that has shown a larger image would misplace the strokes.
        return visit, note, gr.ImageEditor(visible=False), *self._nothing()

    def show(self, visit: Visit) -> gr.ImageEditor:
        brush = gr.Brush(max(4, min(visit.small.size) // BRUSH_SHARE), [BRUSH], BRUSH, "fixed")
        return gr.ImageEditor(value=drawn(visit.small, visit.strokes), brush=brush, visible=True)

    def _nothing(self) -> tuple:
        return None, "", gr.DownloadButton("Download", value=None, interactive=False)

    async def fill(
        self,
        visit: Visit | None,
        drawing: dict | None,
        mask: str | None,
        weights: str,
        runtime: str,
        request: gr.Request,
    ) -> tuple:
        if visit is None:
            raise refusal("open an image first, or choose an example", "Nothing to fill")
        try:
            task = Task(visit.image, self._mask(visit, drawing, mask), (weights, runtime))
            self.running[request.session_hash] = task
            filled = await asyncio.wrap_future(self.filler.submit(task))
            sides = await asyncio.to_thread(lambda: [small(shown(one)) for one in (filled.before, filled.after)])
        except (InputError, Busy) as error:
            raise refusal(error, "This cannot be filled") from None
        except Stopped:
            return self._nothing()
        except asyncio.CancelledError:
            task.stopped.set()
            raise
        finally:
            self.running.pop(request.session_hash, None)
        result = filled.path.with_name(f"{visit.stem}_filled{filled.path.suffix}")
        os.replace(filled.path, result)
        size = f"{result.stat().st_size / 1e6:.1f} MB"
        download = gr.DownloadButton(f"Download {result.name} ({size})", value=str(result), interactive=True)
        return tuple(sides), f"Filled in **{filled.seconds:.1f} s**", download

    def _mask(self, visit: Visit, drawing: dict | None, mask: str | None) -> Path | np.ndarray:
        """The uploaded mask if there is one, or what was painted. Raises InputError."""
        if mask:
            return accept(Path(shutil.copyfile(mask, visit.image.with_name("mask"))), self.filler.limits)
        layers = [np.asarray(layer)[..., 3] > 0 for layer in (drawing or {}).get("layers") or []]
        painted = np.any(layers, axis=0) if layers else np.zeros((1, 1), bool)
        if not painted.any():
            raise InputError("nothing is painted; paint over what is to go, or upload a mask")
        return painted

    def leave(self, request: gr.Request) -> None:
        """A visitor has closed the page."""
        task = self.running.get(request.session_hash)
        if task:
            task.stopped.set()


def refusal(error: object, title: str) -> gr.Error:
    """What visitors see; nothing is printed."""
    text = str(error)
    return gr.Error(f"{text[:1].upper()}{text[1:]}.", title=title, print_exception=False)


def build_page(filler: Filler, folder: Path) -> gr.Blocks:
    """folder: for everything temporary."""
    does = Page(filler, folder)
    weights, runtimes = (list(dict.fromkeys(names)) for names in zip(*filler.choices, strict=True))
    white = "black" if filler.settings.mask_polarity == "black_hole" else "white"
    suffixes = list(FORMATS)

    with gr.Blocks(title="Image inpainting", analytics_enabled=False, delete_cache=(KEPT // 12, KEPT)) as page:
        visit = gr.State(None, time_to_live=KEPT, delete_callback=lambda visit: visit and visit.forget())
        gr.Markdown(TITLE)
        with gr.Row():
            with gr.Column(scale=6, min_width=320):
                upload = gr.File(show_label=False, file_types=suffixes, elem_id="open")
                note = gr.HTML(elem_id="note", padding=False)
                editor = gr.ImageEditor(
                    type="pil",
                    sources=(),
                    transforms=(),
                    layers=False,
                    format="png",
                    eraser=gr.Eraser(24),
                    show_label=False,
                    canvas_size=(16, 16),
                    height=520,
                    buttons=[],
                    visible=False,  # until there is an image
                    elem_id="editor",
                )
                with gr.Row(elem_id="act"):
                    go = gr.Button("Fill", variant="primary", size="lg", scale=3, min_width=140, elem_id="fill")
                    stop = gr.Button("Stop", size="lg", scale=1, min_width=80, elem_id="stop")
                with gr.Accordion("Upload a mask instead of painting", open=False):
                    mask = gr.File(
                        label=f"Mask of the image's size: {white} is filled",
                        file_types=suffixes,
                        height=110,
                        elem_id="mask",
                    )
            with gr.Column(scale=5, min_width=320):
                result = gr.ImageSlider(
                    label="Before and after",
                    show_label=False,
                    format="jpeg",
                    interactive=False,
                    buttons=["fullscreen"],
                    elem_id="result",
                )
                seconds = gr.Markdown(elem_id="seconds")
                download = gr.DownloadButton("Download", interactive=False, variant="secondary", elem_id="download")
                with gr.Row():
                    weight = gr.Dropdown(weights, value=weights[0], label="Weights", min_width=140, elem_id="weights")
                    runtime = gr.Dropdown(
                        runtimes, value=runtimes[0], label="Runtime", min_width=140, elem_id="runtime"
                    )
                samples = gr.Dataset(
                    components=[gr.Image(render=False, height=96)],
                    samples=[[str(example.photo)] for example in does.examples],
                    type="index",
                    label="Examples",
                    elem_id="examples",
                )
        shows = [visit, note, editor, result, seconds, download]
        filling = go.click(
            does.fill, [visit, editor, mask, weight, runtime], [result, seconds, download], concurrency_limit=1
        )
        stop.click(None, cancels=[filling])
        uploading = upload.upload(does.open_upload, [upload, visit], [upload, *shows], cancels=[filling])
        choosing = samples.click(does.open_example, [samples, visit], shows, cancels=[filling])
        for opening in (uploading, choosing):
            opening.success(does.show, visit, editor, show_progress="hidden")
        weight.change(lambda name: choose_runtime(filler, name), weight, runtime)
        page.unload(does.leave)
    return page.queue(max_size=filler.limits.max_waiting)


def choose_runtime(filler: Filler, weights: str) -> gr.Dropdown:
    runtimes = [runtime for name, runtime in filler.choices if name == weights]
    return gr.Dropdown(runtimes, value=runtimes[0])
