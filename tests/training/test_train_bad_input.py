"""What users get wrong with train.py ends in one line and exit code 2, before anything is written."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import train as train_py
from model_utils.entry import run
from src.checkpoint import save_network
from src.models import get_model
from src.network_info import NetworkInfo
from tests.command_line import words
from tests.test_bad_input import ROOT, snapshot
from tests.training.conftest import SMALL


@pytest.fixture
def good(tmp_path, images, tiny):
    """A folder with data/, masks/, and in run/ something that is not a run."""
    (tmp_path / "data").symlink_to(images)
    for folder in ("masks", "run"):
        (tmp_path / folder).mkdir()
    Image.fromarray(np.eye(128, dtype=bool)).save(tmp_path / "masks" / "a.png")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    return tmp_path


@pytest.fixture
def refusal(good, capsys):
    """refusal(option=value, …): the one line that train.py ends with."""

    def refusal(**changed: object) -> str:
        before = snapshot(good)
        with pytest.raises(SystemExit) as stop:
            run(train_py.main, words(options(good) | changed))
        output = capsys.readouterr()
        assert (stop.value.code, output.out) == (2, "")
        assert output.err.startswith("error: ")
        assert output.err.count("\n") == 1
        assert snapshot(good) == before
        assert sorted(path.name for path in (good / "run").iterdir()) == ["notes.txt"]
        return output.err.removeprefix("error: ").rstrip("\n")

    return refusal


def options(good: Path) -> dict[str, object]:
    return SMALL | {"data_root": good / "data", "train_masks_root": good / "masks", "save_path": good / "run"}


def test_a_process_ends_with_one_line_and_code_2(good):
    changed = words(options(good) | {"data_root": good / "none"})
    done = subprocess.run([sys.executable, ROOT / "train.py", *changed], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {good}/none does not exist; give an image or a folder of images\n"


def test_what_is_not_given_is_asked_for(refusal):
    for name in ("data_root", "save_path"):
        assert f" needs --{name} (" in refusal(**{name: ""})


def test_options(refusal, good):
    assert refusal(trainiter=5) == "unknown option --trainiter (did you mean --train_iter?)"
    assert refusal(train_iter="many") == "--train_iter 'many': expected a whole number (>= 0)"
    assert refusal(train_iter=-1) == "--train_iter '-1': expected a whole number (>= 0)"
    assert refusal(train_iter=1.5).startswith("--train_iter '1.5': expected a whole number")
    assert refusal(batch_size=0) == "--batch_size '0': expected a whole number (>= 1)"
    assert refusal(image_size=200) == "--image_size '200': expected a whole number (multiple of 128)"
    assert refusal(gen_lr_train="nan") == "--gen_lr_train 'nan': expected a number (> 0)"
    assert refusal(keep_checkpoint_max=0).startswith("--keep_checkpoint_max '0'")
    assert refusal(mask_polarity="white").startswith("--mask_polarity 'white': expected one of white_hole | black_hole")
    assert refusal(resume="maybe") == "--resume 'maybe': expected true or false"
    assert refusal(config_path=good / "none.yaml").endswith("none.yaml: No such file or directory")
    (good / "mine.yaml").write_text("batch_size: 6\nlearning_rate: 1\n")
    assert refusal(config_path=good / "mine.yaml").startswith(f"{good}/mine.yaml, line 2: unknown option learning_rate")


def test_what_cannot_be_trained(refusal):
    assert refusal(model="vgg16") == "--model 'vgg16': expected one of ctsdg | dgts | upsampler"
    assert refusal(model="dgts2").startswith("--model 'dgts2': expected one of ")
    line = refusal(train_iter=0, finetune_iter=0)
    assert line == "there is nothing to train: --train_iter and --finetune_iter are both 0"


@pytest.mark.parametrize("target", ["GPU", "Ascend"])
def test_a_device_that_is_not_there(refusal, target):
    from mindspore import device_context

    if getattr(device_context, target.lower()).is_available():
        pytest.skip(f"there is one: {target}")
    assert "found none here" in refusal(device_target=target)


@pytest.mark.parametrize("option", ["data_root", "train_masks_root"])
def test_images(refusal, good, option):
    assert "none does not exist" in refusal(**{option: good / "none"})
    folder = good / "wrong"
    folder.mkdir()
    assert "wrong holds no images" in refusal(**{option: folder})

    Image.new("RGB", (128, 128)).save(folder / "0.png")
    (folder / "a.png").write_text("no image")
    expected = "1 of 2 images cannot be used, remove or replace them: "
    assert refusal(**{option: folder}) == f"{expected}{folder}/a.png (not an image file)"
    (folder / "a.png").write_bytes(b"")
    assert refusal(**{option: folder}).startswith(f"{expected}{folder}/a.png (")
    (folder / "a.png").unlink()
    (folder / "b.png").symlink_to(good / "gone.png")
    assert refusal(**{option: folder}) == f"{expected}{folder}/b.png (No such file or directory)"
    (folder / "b.png").unlink()

    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "whole.jpg")
    (folder / "broken.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:3000])
    (folder / "whole.jpg").unlink()
    assert refusal(**{option: folder}).startswith(f"{expected}{folder}/broken.jpg (")


def test_the_crop_fits_into_every_image(refusal, good):
    assert "128x128 pixels, smaller than center_crop 178" in refusal(center_crop=178)


def test_a_partition_file(refusal, good):
    anno = good / "list_eval_partition.txt"
    assert refusal(anno_path=anno) == f"{anno} cannot be read as a partition file: No such file or directory"
    anno.write_text("0.png 0\nmissing.png 0\n")
    assert refusal(anno_path=anno) == f"{anno}, line 2: missing.png is not under {good}/data"
    anno.write_text("0.png\n")
    assert refusal(anno_path=anno) == f"{anno}, line 1: expected 'name 0|1|2', found '0.png'"
    anno.write_text("0.png 2\n")
    assert refusal(anno_path=anno) == f"{anno} names no train images (number 0)"
    assert "cannot be read as a partition file" in refusal(anno_path=good / "masks" / "a.png")


def test_drawn_masks(refusal):
    line = refusal(train_masks_root="", hole_min=0.5, hole_max=0.4)
    assert line == "--hole_min 0.5 is above --hole_max 0.4"
    assert refusal(train_masks_root="", hole_max=1.5) == "--hole_max '1.5': expected a number (0 to 1)"


def test_a_folder_that_cannot_be_written(refusal, good):
    (good / "file").write_text("mine")
    assert refusal(save_path=good / "file") == f"{good}/file is a file; give a folder"
    assert f"{good}/file" in refusal(save_path=good / "file" / "deep" / "run")
    if Path("/proc").is_dir():  # where not even root can make a folder
        assert refusal(save_path="/proc/none/run").startswith("/proc/none")


def test_vgg16(refusal, good):
    line = refusal(perceptual_loss_w=0.1)
    assert line.startswith("the losses on VGG features need --pretrained_vgg FILE.ckpt (convert.py makes it from")
    assert line == refusal(style_loss_w=250)
    assert "none.ckpt does not exist" in refusal(style_loss_w=250, pretrained_vgg=good / "none.ckpt")
    path = good / "vgg.ckpt"
    path.write_text("weights")
    assert "vgg.ckpt is damaged or no MindSpore checkpoint" in refusal(style_loss_w=250, pretrained_vgg=path)
    save_network(path, {"a": np.zeros(3, np.float32)}, get_model("ctsdg").info("generator"))
    assert "holds model ctsdg, not vgg16" in refusal(style_loss_w=250, pretrained_vgg=path)
    save_network(path, {"a": np.zeros(3, np.float32)}, NetworkInfo("vgg16", "vgg16"))
    assert "does not fit" in refusal(style_loss_w=250, pretrained_vgg=path)
    (good / "none").mkdir()
    assert "vgg16.ckpt does not exist" in refusal(style_loss_w=250, pretrained_vgg=good / "none")


def test_starting_weights(refusal, good):
    path = good / "generator.ckpt"
    assert "does not exist" in refusal(init_checkpoint=path)
    save_network(path, {"a": np.zeros(3, np.float32)}, get_model("ctsdg").info("generator", width=0.1))
    assert "does not fit: 5 parameters differ or are missing" in refusal(init_checkpoint=path)
    path.write_bytes(path.read_bytes()[:-20])
    assert "generator.ckpt is damaged or no MindSpore checkpoint" in refusal(init_checkpoint=path)
    path.write_bytes(b"")
    assert refusal(init_checkpoint=path) == f"{path} is empty; give a whole checkpoint"
    assert "does not exist; give a checkpoint folder" in refusal(init_checkpoint=good / "masks")


def test_resuming(refusal, good):
    assert refusal(resume=True) == f"--resume: {good}/run holds no run; start without --resume"


def test_an_image_that_breaks_later_is_named(good, capsys):
    """It passes the check of headers and fails in a worker."""
    (good / "late").mkdir()
    path = good / "late" / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[2000:2400] = bytes(400)
    path.write_bytes(content)
    with pytest.raises(SystemExit) as stop:
        run(train_py.main, words(options(good) | {"data_root": good / "late"}))
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.count("\n") == 1
    assert error.startswith(f"error: {path} cannot be read as an image: ")


@pytest.mark.parametrize("accumulation", [1, 4])
def test_a_batch_norm_over_a_single_value_is_refused_before_the_start(accumulation, images, tmp_path, capsys):
    changed = {
        "batch_size": 1,
        "gradient_accumulation": accumulation,
        "data_root": images,
        "save_path": tmp_path / "r",
    }
    with pytest.raises(SystemExit):
        run(train_py.main, words(SMALL | changed))
    line = capsys.readouterr().err
    assert line.startswith("error: --batch_size 1 --image_size 128: the deepest batch norm would see a single value")
    assert not (tmp_path / "r").exists()
