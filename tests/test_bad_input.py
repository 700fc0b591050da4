"""What users get wrong with eval.py, export.py and infer.py ends in one line and exit code 2, and changes no file."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eval as eval_py
import export as export_py
import infer as infer_py
from model_utils.entry import run
from src.checkpoint import save_network
from src.models import get_model
from src.network_info import NetworkInfo
from tests.command_line import ROOT, words

MAINS = {"eval": eval_py.main, "export": export_py.main, "infer": infer_py.main}
# What each needs: option -> file or folder of `good`.
NEEDS = {
    "eval": {"checkpoint_path": "run", "data_root": "images", "eval_masks_root": "masks", "output_path": "out"},
    "export": {"checkpoint_path": "run", "output_path": "out.mindir"},
    "infer": {"checkpoint_path": "run", "image": "images", "mask": "masks", "output": "out"},
}


@pytest.fixture
def good(tmp_path, checkpoint):
    """A folder with everything that the three commands need: run/, images/, masks/."""
    (tmp_path / "run").symlink_to(checkpoint)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    Image.fromarray(np.full((128, 128, 3), 90, np.uint8)).save(tmp_path / "images" / "a.png")
    Image.fromarray(np.eye(128, dtype=bool)).save(tmp_path / "masks" / "a.png")
    return tmp_path


def command(name: str, good: Path, **changed: object) -> list[str]:
    return words({option: good / path for option, path in NEEDS[name].items()} | {"mode": "pynative"} | changed)


def refusal(capsys, good: Path, name: str, **changed: object) -> str:
    """The one line that the command ends with."""
    before = snapshot(good)
    with pytest.raises(SystemExit) as stop:
        run(MAINS[name], command(name, good, **changed))
    output = capsys.readouterr()
    assert (stop.value.code, output.out) == (2, "")
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    assert snapshot(good) == before
    return output.err.removeprefix("error: ").rstrip("\n")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", NEEDS)
def test_a_process_ends_with_one_line_and_code_2(name, good):
    damaged = good / "generator.ckpt"
    damaged.write_bytes((good / "run" / "generator.ckpt").read_bytes()[:-50])
    options = command(name, good, checkpoint_path=damaged)
    done = subprocess.run([sys.executable, ROOT / f"{name}.py", *options], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {damaged} is damaged or no MindSpore checkpoint; use another one\n"


@pytest.mark.parametrize("name", NEEDS)
def test_what_is_not_given_is_asked_for(name, good, capsys):
    for option in NEEDS[name]:
        assert f" needs --{option} (" in refusal(capsys, good, name, **{option: ""})


@pytest.mark.parametrize("name", NEEDS)
def test_options(name, good, capsys):
    assert refusal(capsys, good, name, imagesize=256) == "unknown option --imagesize (did you mean --image_size?)"
    assert refusal(capsys, good, name, seed="one").startswith("--seed 'one': expected a whole number")
    assert refusal(capsys, good, name, config_path=good / "none.yaml").endswith("none.yaml: No such file or directory")


@pytest.mark.parametrize("name", NEEDS)
def test_a_device_that_is_not_there(name, good, capsys):
    for target in ("GPU", "Ascend"):
        from mindspore import device_context

        if not getattr(device_context, target.lower()).is_available():
            assert "found none here" in refusal(capsys, good, name, device_target=target)


@pytest.mark.parametrize("name", NEEDS)
def test_checkpoints(name, good, capsys):
    assert "does not exist" in refusal(capsys, good, name, checkpoint_path=good / "none.ckpt")
    assert "generator.ckpt does not exist" in refusal(capsys, good, name, checkpoint_path=good / "images")
    assert "has width 0.02, not 1.0" in refusal(capsys, good, name, width=1.0)
    assert "has image_size 128, not 256" in refusal(capsys, good, name, image_size=256)
    assert "fills no holes" in refusal(capsys, good, name, checkpoint_path=good / "run" / "discriminator.ckpt")

    path = good / "generator.ckpt"
    path.write_bytes(b"")
    assert refusal(capsys, good, name, checkpoint_path=path) == f"{path} is empty; give a whole checkpoint"
    path.write_text("weights")
    assert "is damaged or no MindSpore checkpoint" in refusal(capsys, good, name, checkpoint_path=path)
    save_network(path, {"a": np.zeros(3, np.float32)}, NetworkInfo("vgg16", "vgg16"))
    assert "holds vgg16's vgg16, which fills no holes" in refusal(capsys, good, name, checkpoint_path=path)
    save_network(path, {"a": np.zeros(3, np.float32)}, get_model("ctsdg").info("generator"))
    assert "does not fit" in refusal(capsys, good, name, checkpoint_path=path)


@pytest.mark.parametrize("name", NEEDS)
def test_an_output_that_cannot_be_written(name, good, capsys):
    option, suffix = ("output", "") if name == "infer" else ("output_path", ".mindir" if name == "export" else "")
    (good / "file").write_text("mine")
    below = good / "file" / "deep" / f"out{suffix}"
    assert "file" in refusal(capsys, good, name, **{option: below})
    if Path("/proc").is_dir():  # where not even root can make a folder
        assert "/proc/none" in refusal(capsys, good, name, **{option: f"/proc/none/out{suffix}"})


@pytest.mark.parametrize(
    ("name", "option"), [("eval", "data_root"), ("eval", "eval_masks_root"), ("infer", "image"), ("infer", "mask")]
)
def test_images(name, option, good, capsys):
    assert "does not exist" in refusal(capsys, good, name, **{option: good / "none"})
    (good / "empty").mkdir()
    assert "holds no images" in refusal(capsys, good, name, **{option: good / "empty"})
    (good / "text").mkdir()
    (good / "text" / "a.png").write_text("no image")
    line = refusal(capsys, good, name, **{option: good / "text"})
    assert f"{good}/text/a.png" in line
    assert line.rstrip(")").endswith("not an image file")
    image = (good / "images" / "a.png").read_bytes()
    (good / "text" / "a.png").write_bytes(image[: len(image) // 2])
    assert "text/a.png" in refusal(capsys, good, name, **{option: good / "text"})


def test_evaluation(good, capsys):
    assert "choose from telea, ns" in refusal(capsys, good, "eval", baselines="telea,magic")
    assert "smaller than center_crop 178" in refusal(capsys, good, "eval", center_crop=178)
    assert "expected one of zoo | edge_connect | lbam" in refusal(capsys, good, "eval", protocol="mine")
    assert "is a file; give a folder" in refusal(capsys, good, "eval", output_path=good / "images" / "a.png")


def test_export(good, mindir, capsys):
    assert "ends in .mindir or .onnx" in refusal(capsys, good, "export", output_path=good / "x.ckpt")
    assert "no MindSpore checkpoint" in refusal(capsys, good, "export", checkpoint_path=mindir)


def test_inference(good, capsys):
    Image.fromarray(np.zeros((128, 127), bool)).save(good / "small.png")
    line = refusal(capsys, good, "infer", mask=good / "small.png")
    assert f"{good}/images/a.png is 128x128, its mask {good}/small.png 127x128; " in line

    (good / "images" / "a.png").rename(good / "images" / "b.png")
    assert "b.png has no mask of its name" in refusal(capsys, good, "infer")
    (good / "images" / "b.png").rename(good / "images" / "a.png")
    (good / "out").mkdir()
    Image.new("L", (9, 9)).save(good / "out" / "a.png")
    line = refusal(capsys, good, "infer")
    assert line == f"{good}/out/a.png exists; --overwrite replaces it"
    line = refusal(capsys, good, "infer", image=good / "images" / "a.png", output=good / "out.gif")
    assert "give a name that ends in one of them" in line
    line = refusal(capsys, good, "infer", output=good / "images", mask=good / "masks" / "a.png", overwrite="true")
    assert "is an input; give another --output" in line
    assert "the report is a page" in refusal(capsys, good, "infer", report=good / "images" / "a.png")
    assert "no output is JPEG or WebP" in refusal(capsys, good, "infer", quality=90)
