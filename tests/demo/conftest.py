"""A server of demo.py in a process of its own, and a browser to visit it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import ROOT, words

# Set by scripts/run_tests.sh --with-demo: what is missing is then a failure.
REQUIRED = os.environ.get("DEMO_TESTS") == "required"


def need(there: bool, what: str) -> None:
    if not there:
        (pytest.fail if REQUIRED else pytest.skip)(what)


class Server:
    """url: of the page; folder: its TMPDIR, empty but while it runs"""

    def __init__(self, folder: Path, **options: object) -> None:
        self.folder, self.errors = folder, folder.with_name(f"{folder.name}.err")
        folder.mkdir()
        command = [sys.executable, "-m", "tests.demo.serve", *words({"port": 0} | options)]
        with open(self.errors, "w") as errors:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | {"TMPDIR": folder}
            )
        self.line = self.process.stdout.readline()
        self.url = self.line.partition(" ")[0]

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Exit code and standard error."""
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.process.stdout.close()
        return code, self.errors.read_text()

    def memory(self) -> int:
        """Bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="session")
def toy_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from src.checkpoint import save_network
    from src.network_info import NetworkInfo
    from tests.toy.model import Generator

    folder = tmp_path_factory.mktemp("toy")
    rng = np.random.default_rng(0)
    arrays = {name: p.asnumpy() for name, p in Generator().parameters_and_names()}
    arrays = {name: rng.normal(0, 0.5, array.shape).astype(np.float32) for name, array in arrays.items()}
    save_network(folder / "generator.ckpt", arrays, NetworkInfo("toy", "generator", {"image_size": 128}))
    return folder


@pytest.fixture(scope="session")
def packages() -> None:
    for name in ("gradio", "playwright"):
        try:
            __import__(name)
        except ImportError:
            need(False, f"{name} is missing: pip install -r requirements-demo-tests.txt")


@pytest.fixture(scope="session")
def server(packages, toy_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("served") / "tmp", checkpoint_path=toy_checkpoint, mode="pynative")
    yield server
    code, errors = server.stop()
    assert (code, errors) == (130, "interrupted\n")
    assert not list(server.folder.iterdir())


@pytest.fixture(scope="session")
def browser(packages) -> Iterator:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    need(chromium is not None, "Chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        # Names of other machines lead nowhere; root has no sandbox.
        options = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()


def one_line(text: str) -> bool:
    return re.fullmatch(r"error: [^\n]{10,300}\n", text) is not None
