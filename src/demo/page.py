"""The demo's page, made with Gradio: open an image, paint over what is to go, see before and after, download."""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

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
RESULT_SIDE = 4096  # of before and after, which visitors zoom into
BRUSH = "#e5484d", 0.6  # colour and opacity
BRUSH_SHARE, WIDEST_SHARE = 27, 4  # of the longer side of an image, a brush is one in so many
KEPT = 3600  # seconds that the files of a visit are kept

PROGRESS = gr.Progress()  # of whichever event calls it

HEAD = Path(__file__).with_name("head.html").read_text(encoding="utf-8")
STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
TITLE = """# Image inpainting
Paint over what is to go, and the network fills it from its surroundings. Every other pixel stays as it is."""


@dataclass(frozen=True)
class Visit:
    """What a visitor has open.

    image: the file as it was uploaded, in a folder of its own; stem: of its name; side: its longer one, in pixels
    small: what the browser shows of it; strokes: what an example has painted on that, bool (H, W)
    waiting: files that were uploaded with it, and are opened after it
    """

    image: Path
    stem: str
    side: int
    small: Image.Image
    strokes: np.ndarray | None
    waiting: Sequence[Path]

    @property
    def result(self) -> Path:
        return self.image.with_name(f"{self.stem}_filled{self.image.suffix}")

    def forget(self) -> None:
        shutil.rmtree(self.image.parent, ignore_errors=True)


def theme() -> gr.themes.Base:
    # The fonts of the visitor's system: those of Gradio's themes come from elsewhere.
    font, mono = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")
    return gr.themes.Default(primary_hue="indigo", neutral_hue="slate", font=font, font_mono=mono)


def small(image: Image.Image, side: int) -> Image.Image:
    """As the browser shows it."""
    image.thumbnail((side, side))
    times = max(1, SMALLEST_SIDE // max(image.size))
    return image.resize([times * side for side in image.size], Image.Resampling.NEAREST)


def drawn(image: Image.Image, strokes: np.ndarray | None = None) -> EditorValue:
    """The editor's value: an image to paint on, and what is painted on it, bool (H, W) of the same size."""
    colour = (*bytes.fromhex(BRUSH[0][1:]), round(255 * BRUSH[1]))
    layer = np.zeros((image.height, image.width, 4), np.uint8)
    if strokes is not None:
        layer[strokes] = colour
    # An empty layer too: with one, the editor's undo begins after the image instead of taking it away.
    return {"background": image, "layers": [Image.fromarray(layer)], "composite": None}


class Page:
    """What happens when visitors do something. folder: for the files of visits."""

    def __init__(self, filler: Filler, folder: Path) -> None:
        self.filler, self.folder = filler, folder
        self.examples = write_examples(folder / "examples")
        self.running: dict[str | None, Task] = {}  # by the page's session

    def open_uploads(self, uploads: Sequence[str], visit: Visit | None) -> tuple:
        """Of images, opened, dropped or pasted."""
        return None, *self._open_first([Path(upload) for upload in uploads], visit)

    def open_next(self, visit: Visit | None) -> tuple:
        visit = opened(visit)
        return self._open_first(visit.waiting, visit)

    def open_result(self, visit: Visit | None) -> tuple:
        visit = opened(visit)
        return self._open(visit.result, visit, visit.stem, waiting=visit.waiting)

    def open_example(self, number: int, visit: Visit | None) -> tuple:
        photo, strokes = self.examples[number]
        return self._open(photo, visit, photo.stem, strokes)

    def _open_first(self, paths: Sequence[Path], last: Visit | None) -> tuple:
        """The first that can be opened."""
        for number, path in enumerate(paths, 1):
            try:
                return self._open(path, last, stem_of(path.name), waiting=paths[number:])
            except gr.Error as error:
                if number == len(paths):
                    raise
                gr.Warning(f"{path.name} is left out. {error.message}")
        raise ValueError("no files")

    def _open(
        self,
        path: Path,
        last: Visit | None,
        stem: str,
        strokes: np.ndarray | None = None,
        waiting: Sequence[Path] = (),
    ) -> tuple:
        own = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            upload = accept_image(Path(shutil.copyfile(path, own / "image")), self.filler.limits)
            with names_alone(own):
                seen = shown(read_image(upload))
        except FileNotFoundError:
            shutil.rmtree(own)
            raise refusal("it is no longer kept; open it again", "This image cannot be opened") from None
        except InputError as error:
            shutil.rmtree(own)
            raise refusal(error, "This image cannot be opened") from None
        if last:
            last.forget()
        note = f"<strong>{escape(path.name)}</strong> {seen.width}x{seen.height} pixels, {file_format(upload)}"
        visit = Visit(upload, stem, max(seen.size), small(seen, SIDE), strokes, waiting)
        more = gr.Button(f"Next image ({len(waiting)} left)", visible=bool(waiting))
        # Hidden, the editor is taken off the page: one that has shown a larger image would misplace the strokes.
        return visit, note, more, gr.ImageEditor(visible=False), None, *self._nothing()

    def show(self, visit: Visit) -> tuple:
        width = max(1, visit.side // BRUSH_SHARE)
        slider = gr.Slider(value=width, maximum=max(2, visit.side // WIDEST_SHARE), visible=True)
        value = drawn(visit.small, visit.strokes)
        return slider, gr.ImageEditor(value=value, **self._tools(width, visit), visible=True)

    def set_brush(self, width: float, visit: Visit | None) -> gr.ImageEditor:
        return gr.ImageEditor(**self._tools(width, visit)) if visit else gr.skip()

    def _tools(self, width: float, visit: Visit) -> dict:
        """width: in pixels of the image; the editor has radii in those of what it shows."""
        radius: Any = width / 2 * max(visit.small.size) / visit.side
        return {"brush": gr.Brush(radius, [BRUSH], BRUSH, "fixed"), "eraser": gr.Eraser(radius)}

    def _nothing(self) -> tuple:
        return None, "", gr.DownloadButton("Download", value=None, interactive=False), gr.Button(interactive=False)

    async def fill(
        self,
        visit: Visit | None,
        drawing: dict | None,
        mask: str | None,
        weights: str,
        runtime: str,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> tuple:
        visit = opened(visit)
        try:
            task = Task(visit.image, (weights, runtime), *self._hole(visit, drawing, mask))
            self.running[request.session_hash] = task
            future = asyncio.wrap_future(self.filler.submit(task))
            try:
                while not (await asyncio.wait({future}, timeout=0.2))[0]:
                    if task.windows:
                        progress((task.done, task.windows), desc="Filling", unit="windows")
                filled = future.result()
            finally:
                future.cancel()
            both = filled.before, filled.after
            sides = await asyncio.to_thread(lambda: [small(shown(one), RESULT_SIDE) for one in both])
        except (InputError, Busy) as error:
            raise refusal(error, "This cannot be filled") from None
        except Stopped:
            return self._nothing()
        except asyncio.CancelledError:
            task.stopped.set()
            raise
        finally:
            self.running.pop(request.session_hash, None)
        result = Path(shutil.move(filled.path, visit.result))
        size = f"{result.stat().st_size / 1e6:.1f} MB"
        download = gr.DownloadButton(f"Download {result.name} ({size})", value=str(result), interactive=True)
        text = f"Filled in **{filled.seconds:.1f} s**. Scroll or pinch to zoom."
        return tuple(sides), text, download, gr.Button(interactive=True)

    def _hole(self, visit: Visit, drawing: dict | None, mask: str | None) -> tuple[Path | None, np.ndarray | None]:
        """The uploaded mask, and what was painted. Raises InputError without either."""
        layers = [np.asarray(layer)[..., 3] > 0 for layer in (drawing or {}).get("layers") or []]
        painted = np.any(layers, axis=0) if layers else np.zeros((1, 1), bool)
        if not mask and not painted.any():
            raise InputError("nothing is painted; paint over what is to go, or upload a mask")
        own = Path(shutil.copyfile(mask, visit.image.with_name("mask"))) if mask else None
        return own and accept(own, self.filler.limits), painted if painted.any() else None

    def leave(self, request: gr.Request) -> None:
        """A visitor has closed the page."""
        task = self.running.get(request.session_hash)
        if task:
            task.stopped.set()


def opened(visit: Visit | None) -> Visit:
    if visit is None:  # none yet, or it was too long ago
        raise refusal("open an image first, or choose an example", "Nothing is open")
    return visit


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
                upload = gr.File(show_label=False, file_count="multiple", file_types=suffixes, elem_id="open")
                with gr.Row():
                    note = gr.HTML(elem_id="note", padding=False, min_width=160)
                    more = gr.Button("Next image", size="sm", scale=0, min_width=160, visible=False, elem_id="next")
                brush = gr.Slider(
                    1, 400, step=1, label="Brush width in pixels", buttons=[], visible=False, elem_id="brush"
                )
                editor = gr.ImageEditor(
                    type="pil",
                    sources=(),
                    transforms=(),
                    layers=False,
                    format="png",
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
                with gr.Accordion("Upload a mask instead of painting, or beside it", open=False):
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
                with gr.Row():
                    download = gr.DownloadButton(
                        "Download", interactive=False, scale=2, min_width=200, elem_id="download"
                    )
                    onward = gr.Button("Go on from here", interactive=False, min_width=160, elem_id="onward")
                with gr.Row():
                    weight = gr.Dropdown(weights, value=weights[0], label="Weights", min_width=180, elem_id="weights")
                    runtime = gr.Dropdown(
                        runtimes, value=runtimes[0], label="Runtime", min_width=180, elem_id="runtime"
                    )
                samples = gr.Dataset(
                    components=[gr.Image(render=False, height=96)],
                    samples=[[str(example.photo)] for example in does.examples],
                    type="index",
                    label="Examples",
                    elem_id="examples",
                )
        results = [result, seconds, download, onward]
        shows = [visit, note, more, editor, mask, *results]
        filling = go.click(
            does.fill,
            [visit, editor, mask, weight, runtime],
            results,
            concurrency_limit=1,
            show_progress_on=result,
        )
        stop.click(None, cancels=[filling])
        for opening in (
            upload.upload(does.open_uploads, [upload, visit], [upload, *shows], cancels=[filling]),
            more.click(does.open_next, visit, shows, cancels=[filling]),
            onward.click(does.open_result, visit, shows, cancels=[filling]),
            samples.click(does.open_example, [samples, visit], shows, cancels=[filling]),
        ):
            opening.success(does.show, visit, [brush, editor], show_progress="hidden")
        brush.change(does.set_brush, [brush, visit], editor, show_progress="hidden", trigger_mode="always_last")
        weight.change(lambda name: choose_runtime(filler, name), weight, runtime)
        page.unload(does.leave)
    return page.queue(max_size=filler.limits.max_waiting)


def choose_runtime(filler: Filler, weights: str) -> gr.Dropdown:
    runtimes = [runtime for name, runtime in filler.choices if name == weights]
    return gr.Dropdown(runtimes, value=runtimes[0])
