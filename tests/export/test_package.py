"""Folders of export.py --package: they fill images from elsewhere, without this project, ONNX without MindSpore."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from src.export.package import modules
from tests.command_line import ROOT, call, words
from tests.onnx_files import require_packages

# Without what the package must not need.
START = "import runpy, sys; {blocked}; sys.argv = {words!r}; runpy.run_path(sys.argv[0], run_name='__main__')"
BLOCKED = {"model.onnx": "sys.modules['mindspore'] = None", "model.mindir": "sys.modules['openvino'] = None"}


@pytest.fixture(scope="module", params=["model.onnx", "model.mindir"])
def package(request, checkpoint, tmp_path_factory) -> tuple[Path, str]:
    if request.param.endswith(".onnx"):
        require_packages()
    folder = tmp_path_factory.mktemp("package") / "filler"
    call("export.py", checkpoint_path=checkpoint, package=folder, output_path=request.param)
    return folder, request.param


def start(package: tuple[Path, str], cwd: Path, *arguments: object) -> subprocess.CompletedProcess:
    folder, model = package
    code = START.format(blocked=BLOCKED[model], words=[str(folder / "run.py"), *map(str, arguments)])
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)


def test_a_package_fills_images_from_another_folder(package, checkpoint, tmp_path):
    folder, _ = package
    image, mask = data.astronaut()[:200, :300], np.zeros((200, 300), np.uint8)
    mask[90:120, 100:160] = 255
    Image.fromarray(image).save(tmp_path / "photo.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    done = start(package, tmp_path, "photo.png", "mask.png", "filled.png")
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    filled = np.asarray(Image.open(tmp_path / "filled.png"))
    np.testing.assert_array_equal(filled[mask == 0], image[mask == 0])
    assert np.abs(filled[mask > 0].astype(int) - image[mask > 0]).mean() > 1
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.py")}
    assert {"run.py", "inpainting/__init__.py", "inpainting/inference/windows.py"} <= files
    assert not any(name in " ".join(files) for name in ("ctsdg", "dgts", "training"))


def test_what_a_user_can_mend_is_one_line(package, tmp_path):
    for arguments in (["no.png", "mask.png", "filled.png"], ["no.png", "no.png", "filled.gif"]):
        done = start(package, tmp_path, *arguments)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith("error: ")
    folder, model = package
    file = folder / model
    content = file.read_bytes()
    Image.new("RGB", (9, 9)).save(tmp_path / "small.png")
    try:
        file.write_bytes(content[:-1])
        done = start(package, tmp_path, "small.png", "small.png", "filled.png")
    finally:
        file.write_bytes(content)
    assert done.returncode == 2
    assert "is damaged, or not the file that model.json was written for" in done.stderr


def test_a_package_carries_no_network_and_one_runtime():
    onnx, mindir = modules(".onnx"), modules(".mindir")
    assert "inference.filling" in onnx
    assert "models" not in onnx + mindir
    assert set(mindir) - set(onnx) == {"inference.mindspore_runtime"}


def test_a_folder_that_holds_something_is_left_alone(checkpoint, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for options, line in (
        ({"package": tmp_path}, "is not empty"),
        ({"package": tmp_path / "new", "output_path": tmp_path / "x.onnx"}, "give its name alone"),
    ):
        command = [sys.executable, ROOT / "export.py", *words({"checkpoint_path": checkpoint} | options)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert line in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
