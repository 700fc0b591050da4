"""What `pip install .` makes: the package inpainting and the command inpaint, without MindSpore."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

import src
from src.inference.inpainter import Inpainter
from tests.command_line import ROOT, call
from tests.onnx_files import require_packages

tomllib = pytest.importorskip("tomllib")  # Python 3.11
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_folder_of_src_is_installed():
    folders = {path.parent.relative_to(ROOT / "src").parts for path in (ROOT / "src").rglob("__init__.py")}
    expected = {".".join(("inpainting", *parts)) for parts in folders} | {"inpainting.weights"}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == expected


def test_the_version_is_the_newest_of_the_changelog():
    newest = re.search(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert PROJECT["project"]["version"] == newest


def test_without_a_file_the_weights_that_ship_fill():
    require_packages()
    photo, hole = data.astronaut()[:200, :180], np.zeros((200, 180), bool)
    hole[80:100, 30:120] = True
    filled = src.Inpainter()(photo, hole)
    np.testing.assert_array_equal(filled[~hole], photo[~hole])
    from_checkpoint = Inpainter(ROOT / "weights" / "photos")(photo, hole)
    assert np.abs(filled.astype(int) - from_checkpoint).max() <= 1  # the ONNX file is of the checkpoint beside it


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with photo.png and mask.png."""
    mask = np.zeros((300, 451), np.uint8)
    mask[100:130, 50:300] = 255
    Image.fromarray(data.chelsea()).save(tmp_path / "photo.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["photo.png", "mask.png"], "the following arguments are required: output"),
        (["photo.png", "mask.png", "out.png", "--overwrite", "--skip_existing"], "leave one of them out"),
        (["photo.png", "mask.png", "out.png", "--report", "report.txt"], "give a name that ends in .html"),
        (["no.png", "mask.png", "out.png"], "no.png"),
        (["photo.png", "mask.png", "out.png", "--network", "no.onnx"], "no.onnx does not exist"),
    ],
)
def test_the_command_says_what_is_wrong(files, arguments, line):
    command = [sys.executable, "-c", "import sys; from src.command import main; main(sys.argv[1:])", *arguments]
    done = subprocess.run(
        command, cwd=files, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert line in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_an_environment_of_its_own_fills_as_infer_py_does(files):
    subprocess.run([sys.executable, "-m", "venv", files / "venv"], check=True)
    programs = files / "venv" / "bin"
    for name in ("src", "weights"):  # a copy: building leaves files in the folder that it builds
        shutil.copytree(ROOT / name, files / "project" / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, files / "project")
    subprocess.run([programs / "pip", "wheel", "-q", "--no-deps", "-w", files, files / "project"], check=True)
    (wheel,) = files.glob("inpainting-*.whl")
    subprocess.run([programs / "pip", "install", "-q", wheel], check=True)
    subprocess.run([programs / "inpaint", "photo.png", "mask.png", "filled.png"], cwd=files, check=True)
    call(
        "infer.py", image=files / "photo.png", mask=files / "mask.png", output=files / "ours.png", runtime="onnxruntime"
    )
    filled, ours = (np.asarray(Image.open(files / name)).astype(int) for name in ("filled.png", "ours.png"))
    assert np.abs(filled - ours).max() <= 1
    code = (
        "import importlib.util as u; from inpainting import Inpainter; Inpainter(); assert not u.find_spec('mindspore')"
    )
    subprocess.run([programs / "python", "-c", code], cwd=files, check=True)
    packages = programs.parent / "lib"
    assert sum(path.stat().st_size for path in packages.rglob("*") if path.is_file()) < 1e9
