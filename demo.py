"""A page to fill images in the browser, and an API: python demo.py --checkpoint_path PATH [--name value ...]

Open, paste or drop an image, paint over what is to go, and download the filled one in its own format and size. Several
checkpoints or exported files, with commas between them, are there to choose from. The page needs no internet, and is
for this machine alone unless --host says otherwise. docs/demo.md has the API. Ctrl-C ends it.
"""

import os
import signal
import socket
import tempfile
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from model_utils.config import Config, refuse_unused
from model_utils.entry import DEVICE_GROUPS, OPENING_GROUPS, network_or_shipped, run
from src.errors import InputError

OPTION_GROUPS = (
    *DEVICE_GROUPS,
    *OPENING_GROUPS,
    "ONNX files",
    "Masks",
    "Filling",
    "Demo page",
)

if TYPE_CHECKING:
    from src.demo.filler import Choice
    from src.inference.inpainter import Inpainter

PACKAGES = ("gradio", "fastapi", "uvicorn")


def main(config: Config) -> None:
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(f"demo.py needs {' and '.join(missing)}: pip install -r requirements-demo.txt")
    given = [Path(path.strip()) for path in config.checkpoint_path.split(",") if path.strip()]
    files = name_weights(given or [network_or_shipped(config)])
    first = config.runtime if config.given("runtime") else ""
    choices = [(name, runtime) for name, path in files.items() for runtime in runtimes(path, first)]

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, and removes temporary files
    with listen(config.host, config.port) as listener, tempfile.TemporaryDirectory(prefix="inpainting-demo-") as folder:
        tempfile.tempdir = folder  # uploads of whatever library
        os.environ["GRADIO_TEMP_DIR"] = f"{folder}/page"
        serve(config, choices, files, listener, Path(folder))


def serve(
    config: Config, choices: list["Choice"], files: Mapping[str, str], listener: socket.socket, folder: Path
) -> None:
    """Until a signal ends it. files: paths of weights by their names; folder: for everything temporary."""
    from src.demo.filler import Filler, Limits
    from src.demo.server import Server, build_app
    from src.inference.user_files import Settings

    warnings.filterwarnings("ignore", module="PIL")  # of damaged and large images, which visitors hear of
    limits = Limits(config.max_upload_mb, config.max_pixels, config.max_waiting)
    settings = Settings(config.mask_polarity, config.mask_edge, config.quality)
    filler = Filler(choices, limits, settings)
    try:
        server = Server(build_app(filler, folder), filler, lambda: open_networks(config, choices, files))
        host, port = listener.getsockname()[:2]
        print(f"http://{f'[{host}]' if ':' in host else host}:{port} shows the page; Ctrl-C ends it", flush=True)
        server.run([listener])
        server.opened.result()
    finally:
        filler.stop()
        filler.worker.shutdown()


def open_networks(config: Config, choices: list["Choice"], files: Mapping[str, str]) -> dict["Choice", "Inpainter"]:
    """Called by the thread that will run them. Raises InputError."""
    from model_utils.device import prepare, runs_without_mindspore

    if not all([runs_without_mindspore(path, config.device_target) for path in files.values()]):
        prepare(config, few_runs=True)  # a visitor would wait for the compilation of each size of window
    from src.inference.inpainter import Inpainter

    networks = {}
    for name, runtime in choices:
        how = {"runtime": runtime, **config.chosen(["precision"])} if files[name].endswith(".onnx") else {}
        networks[name, runtime] = Inpainter(files[name], chosen=config.chosen(config.as_dict()), **how)
        if len(files) == 1:
            refuse_unused(config, networks[name, runtime].info.model)
    return networks


def name_weights(paths: list[Path]) -> dict[str, str]:
    """Each path by the shortest end of it that no other has. Raises InputError."""
    for path in paths:
        if not path.exists():
            raise InputError(f"--checkpoint_path {path}: there is no such file or folder")
    ends = [["/".join(path.parts[-count:]) for count in range(1, len(path.parts) + 1)] for path in paths]
    names = {}
    for path, own in zip(paths, ends, strict=True):
        others = {end for other in ends if other is not own for end in other}
        names[next((end for end in own if end not in others), str(path))] = str(path)
    return names


def runtimes(path: str, first: str) -> list[str]:
    """What can run the network of a file, by name; for ONNX files the runtime `first`, if it is named, comes first.

    Raises InputError where that one, or any, is missing.
    """
    if not path.endswith(".onnx"):
        return ["mindspore"]
    from src.inference.onnx_runtimes import RUNTIMES, installed_runtimes, require_packages

    installed = installed_runtimes()
    if first or not installed:
        require_packages(first or next(iter(RUNTIMES)))
    return sorted(installed, key=lambda name: name != first)


def listen(host: str, port: int) -> socket.socket:
    """Raises InputError."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InputError(f"--host {host} --port {port}: {error.strerror}; --port 0 takes any that is free") from error


if __name__ == "__main__":
    run(main)
