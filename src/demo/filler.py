"""Filling for the demo: one worker thread does everything that computes, for the page and the API alike."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ..data.images import open_image
from ..errors import InputError
from ..inference.batches import Network
from ..inference.filling import count_windows
from ..inference.image_files import UserImage, check_output, read_header, read_image, write_image
from ..inference.inpainter import Inpainter
from ..inference.jobs import Job, find_faults
from ..inference.user_files import Settings, read_job

# The first bytes of the formats that are read and written. Nothing else reaches Pillow, which would try dozens.
SIGNATURES = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"II*\0": ".tif", b"MM\0*": ".tif", b"BM": ".bmp"}
LONGEST_SIDE = 16383  # of WebP, and about what browsers draw

Choice = tuple[str, str]  # weights, runtime


class Busy(Exception):
    """As many images wait as may."""


class Stopped(Exception):
    """The visitor, or the server, has stopped a task."""


@dataclass(frozen=True)
class Limits:
    """The options of that name in default_config.yaml; 1 MB is 10⁶ bytes."""

    max_upload_mb: int
    max_pixels: int
    max_waiting: int


@dataclass(eq=False)
class Task:
    """One image to fill; the result is written beside it.

    mask: a file as users have them; painted: on a smaller copy, bool (h, w), True = hole. With both, the hole is both.
    done, windows: of the network's windows; 0 windows: not counted yet
    """

    image: Path
    choice: Choice
    mask: Path | None = None
    painted: np.ndarray | None = None
    stopped: threading.Event = field(default_factory=threading.Event)
    done: int = 0
    windows: int = 0


@dataclass(frozen=True)
class Filled:
    """path: the file; seconds: reading and writing included."""

    path: Path
    before: UserImage
    after: UserImage
    seconds: float


class Filler:
    """Fills images one after the other, with the networks that `open` loads."""

    def __init__(self, choices: Sequence[Choice], limits: Limits, settings: Settings) -> None:
        self.choices, self.limits, self.settings = choices, limits, settings
        self.stopped = threading.Event()
        self.running: Task | None = None
        self.tasks: set[Task] = set()  # running or waiting
        self.worker = ThreadPoolExecutor(1, "filler")
        self.networks: dict[Choice, Inpainter] = {}  # none until they are loaded

    def open(self, open_networks: Callable[[], Mapping[Choice, Inpainter]]) -> "Future[None]":
        """open_networks: called by the worker -> the Inpainter of each choice. The future raises what it raises."""
        return self.worker.submit(self._open, open_networks)

    def submit(self, task: Task) -> "Future[Filled]":
        """Raises Busy. The future raises InputError and Stopped."""
        if len(self.tasks) > self.limits.max_waiting:
            raise Busy(f"{self.limits.max_waiting} images are waiting; try again later")
        self.tasks.add(task)
        future = self.worker.submit(self._run, task)
        future.add_done_callback(lambda _: self.tasks.discard(task))  # one that is cancelled while it waits never runs
        return future

    def stop(self) -> None:
        """For the end: what runs stops after its window, and what waits when its turn comes."""
        self.stopped.set()

    def check(self, task: Task | None = None) -> None:
        """Raises Stopped if the server ends or the task has been stopped."""
        if self.stopped.is_set():
            raise Stopped("the server ends")
        if task and task.stopped.is_set():
            raise Stopped("stopped before it was done")

    def _open(self, open_networks: Callable[[], Mapping[Choice, Inpainter]]) -> None:
        networks = dict(open_networks())
        for inpainter in networks.values():
            inpainter.network = self._watched(inpainter.network)
            side = inpainter.info.image_size
            hole = np.zeros((side, side), bool)
            hole[side // 2, side // 2] = True
            inpainter(np.zeros((side, side, 3), np.uint8), hole)  # compiles, before a visitor waits for it
        self.networks = networks

    def _watched(self, network: Network) -> Network:
        def run(*arrays: np.ndarray) -> Sequence[np.ndarray]:
            self.check(self.running)
            outputs = network(*arrays)
            if self.running:  # a batch may be padded
                self.running.done = min(self.running.done + len(arrays[0]), self.running.windows)
            return outputs

        return run

    def _run(self, task: Task) -> Filled:
        self.running = task
        try:
            return self._fill(task)
        finally:
            self.running = None

    def _fill(self, task: Task) -> Filled:
        self.check(task)
        start = time.monotonic()
        output = task.image.with_name(f"filled{task.image.suffix}")
        with names_alone(task.image.parent):
            before, hole = self._read(task, output)
        inpainter = self.networks[task.choice]
        task.windows = count_windows(hole > 0, inpainter.info.image_size)
        filled = inpainter(before.rgb(), hole)
        after = before.with_filling(filled, hole > 0)
        write_image(after, output, self.settings.quality)
        return Filled(output, before, after, time.monotonic() - start)

    def _read(self, task: Task, output: Path) -> tuple[UserImage, np.ndarray]:
        if task.mask:
            job = Job(task.image, task.mask, output)
            for fault in find_faults([job]).values():
                raise InputError(fault)
            image, hole = read_job(job, self.settings)
        else:
            image = read_image(task.image)
            check_output(output, image.header)
            hole = np.zeros(image.pixels.shape[:2], np.float32)
        if task.painted is not None:
            painted = task.painted.astype(np.float32)
            hole = np.maximum(hole, cv2.resize(painted, hole.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT))
        return image, hole


@contextmanager
def names_alone(folder: Path) -> Iterator[None]:
    """InputErrors name files in `folder` without it: visitors learn nothing of this machine."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(f"{folder}/", "")) from None


def accept(upload: Path, limits: Limits) -> Path:
    """Give an uploaded file the suffix of its content, if it is an image within the limits -> its path.

    Only its header is read. Raises InputError.
    """
    with open(upload, "rb") as file:
        start = file.read(12)
    suffix = next((suffix for signature, suffix in SIGNATURES.items() if start.startswith(signature)), "")
    if start[:4] == b"RIFF" and start[8:] == b"WEBP":
        suffix = ".webp"
    if not suffix:
        raise InputError(f"the {upload.stem} is no PNG, JPEG, WebP, TIFF or BMP file; save it as one of them")
    path = upload.rename(upload.with_suffix(suffix))
    with names_alone(path.parent), open_image(path) as image:
        width, height = image.size
    if width * height > limits.max_pixels or max(width, height) > LONGEST_SIDE:
        raise InputError(
            f"the {upload.stem} has {width}x{height} pixels; at most {limits.max_pixels / 1e6:g} million are taken, "
            f"and {LONGEST_SIDE} a side"
        )
    return path


def accept_image(upload: Path, limits: Limits) -> Path:
    """`accept`, for a file that is to be written back. Raises InputError for one whose format cannot hold it again."""
    path = accept(upload, limits)
    with names_alone(path.parent):
        check_output(path, read_header(path))
    return path
