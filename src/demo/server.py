"""The demo's server: the page and the API behind the guard."""

import logging
import os
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import FrameType

# Before Gradio is imported: no telemetry, and no requests to anywhere.
os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

import gradio as gr
import uvicorn
from starlette.types import ASGIApp

from ..inference.inpainter import Inpainter
from .api import build_api
from .filler import Choice, Filler
from .guard import Guard
from .page import HEAD, STYLE, build_page, theme


def build_app(filler: Filler, folder: Path) -> ASGIApp:
    """folder: for everything temporary."""
    max_bytes = filler.limits.max_upload_mb * 10**6
    app = gr.mount_gradio_app(
        build_api(filler, folder),
        build_page(filler, folder),
        "/",
        theme=theme(),
        css=STYLE,
        head=HEAD,
        max_file_size=max_bytes,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
    )
    return Guard(app, max_bytes, os.environ["GRADIO_TEMP_DIR"])


class Server(uvicorn.Server):
    """Has the filler load its networks once the page is up, and ends if it cannot.

    Ends at once when told to: the filler stops, and open streams of pages are cut.
    """

    def __init__(self, app: ASGIApp, filler: Filler, open_networks: Callable[[], Mapping[Choice, Inpainter]]) -> None:
        super().__init__(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=2))
        self.filler, self.open_networks = filler, open_networks

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.opened = self.filler.open(self.open_networks)
        self.opened.add_done_callback(self._check)

    def _check(self, opened: "Future[None]") -> None:
        if opened.exception():
            self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.filler.stop()
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # that streams are cut is meant
        super().handle_exit(sig, frame)
