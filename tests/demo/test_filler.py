"""The worker behind page and API, without the page."""

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from src.demo.filler import Busy, Filler, Limits, Task
from src.inference.user_files import Settings
from tests.defaults import with_defaults

CHOICE = "weights", "runtime"


class BlockedFiller(Filler):
    """Fills nothing, and does not end before it may."""

    def __init__(self, limits: Limits) -> None:
        self.entered, self.leave = threading.Event(), threading.Event()
        super().__init__([CHOICE], limits, with_defaults(Settings))

    def _fill(self, task: Task) -> None:
        self.entered.set()
        assert self.leave.wait(60)
        self.check(task)


def test_who_leaves_while_waiting_leaves_the_place_to_others(tmp_path):
    def task():
        return Task(tmp_path / "image.png", CHOICE, tmp_path / "mask.png")

    filler = BlockedFiller(with_defaults(Limits, max_waiting=1))
    running = filler.submit(task())
    assert filler.entered.wait(60)
    for _ in range(3):
        assert filler.submit(task()).cancel()
    waiting = filler.submit(task())
    with pytest.raises(Busy, match="1 images are waiting"):
        filler.submit(task())
    filler.leave.set()
    running.result(60), waiting.result(60)
    filler.submit(task()).result(60)
    filler.worker.shutdown()


def test_a_call_that_the_servers_end_cuts_off_leaves_nothing_behind(tmp_path):
    """No files, and no error of a worker that goes on for a moment and that nobody asks any more."""
    pytest.importorskip("fastapi")
    httpx = pytest.importorskip("httpx")
    from src.demo.api import build_api

    files = {}
    for name in ("picture", "mask"):
        Image.new("L", (8, 8)).save(tmp_path / f"{name}.png")
        files[name] = (f"{name}.png", (tmp_path / f"{name}.png").read_bytes())
    folder, filler, reported = tmp_path / "temporary", BlockedFiller(with_defaults(Limits)), []
    folder.mkdir()

    async def call():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["message"]))
        transport = httpx.ASGITransport(build_api(filler, folder))
        async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
            posted = asyncio.create_task(client.post("/api/fill", files=files))
            assert await asyncio.to_thread(filler.entered.wait, 60)
            filler.stop()
            answer = await posted
        filler.leave.set()
        await asyncio.to_thread(filler.worker.shutdown)
        del posted
        await asyncio.sleep(0)
        gc.collect()
        return answer

    with ThreadPoolExecutor(1) as thread:  # the browser's tests leave an event loop running in this one
        answer = thread.submit(asyncio.run, call()).result()
    assert (answer.status_code, answer.text) == (503, "error: the server ends\n")
    assert not list(folder.iterdir())
    assert reported == []
