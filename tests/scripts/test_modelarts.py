"""scripts/modelarts.py: options of platforms become those of train.py; neither platform is here, but folders are."""

import shlex
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from scripts import modelarts
from src.errors import InputError
from tests.command_line import ROOT
from tests.training.conftest import images  # noqa: F401

TINY = ["--image_size", "128", "--width", "0.02", "--batch_size", "2", "--train_iter", "1", "--finetune_iter", "0"]
TINY += ["--perceptual_loss_w", "0", "--style_loss_w", "0", "--mode", "pynative"]


@pytest.fixture
def started(monkeypatch) -> list[list[str]]:
    """Commands that would have trained."""
    commands = []

    def run(words, **_):
        commands.append(words)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(modelarts.subprocess, "run", run)
    return commands


def test_folders_of_this_machine_are_used_where_they_are(started, tmp_path):
    given = ["--data_url", "DATA", "--train_url", str(tmp_path), "--seed", "7", "--use_qizhi", "True", "--num_gpus=1"]
    assert modelarts.main(given) == 0
    expected = ["--seed", "7", "--data_root", "DATA", "--save_path", str(tmp_path)]
    assert started == [[sys.executable, str(ROOT / "train.py"), *expected]]


def test_words_in_options_become_folders(started, tmp_path):
    words = "--data_url DATA --train_url RUN --ckpt_url START --data_root {data}/img --init_checkpoint={start}/last"
    modelarts.main(shlex.split(words))
    assert started[0][2:] == ["--data_root", "DATA/img", "--init_checkpoint=START/last", "--save_path", "RUN"]


def test_several_devices_are_started_by_the_script(started):
    modelarts.main(["--data_url", "D", "--train_url", "R", "--device_num", "8", "--device_target", "Ascend"])
    script = str(ROOT / "scripts" / "run_distribute_train_ascend.sh")
    assert started[0][:3] == ["bash", script, "8"]


def test_a_run_that_is_there_is_gone_on_with(started, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    modelarts.main(["--data_url", "D", "--train_url", str(tmp_path)])
    assert started[0][-2:] == ["--resume", "true"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("--data_url D", "--data_url and --train_url are needed"),
        ("--data_url obs://bucket/data --train_url R", "need moxing"),
        ("--data_url D --train_url R --sead 1", "unknown option --sead"),
    ],
)
def test_what_users_get_wrong(words, error, started):
    with pytest.raises(InputError, match=error):
        modelarts.main(words.split())
    assert started == []


@pytest.fixture
def moxing(monkeypatch, tmp_path) -> Path:
    """A moxing whose obs://bucket is this folder."""
    bucket = tmp_path / "bucket"
    bucket.mkdir()

    def path(address: str) -> Path:
        return bucket / address.removeprefix("obs://bucket/") if "://" in address else Path(address)

    files = ModuleType("moxing.file")
    files.exists = lambda address: path(address).exists()
    files.is_directory = lambda address: path(address).is_dir()
    files.copy = lambda source, target: shutil.copy(path(source), path(target))
    files.copy_parallel = lambda source, target: shutil.copytree(path(source), path(target), dirs_exist_ok=True)
    module = ModuleType("moxing")
    module.file = files
    module.__spec__ = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "moxing", module)
    monkeypatch.setattr(modelarts, "CACHE", tmp_path / "cache")
    return bucket


def test_a_run_between_buckets(moxing, images, capfd):  # noqa: F811
    shutil.copytree(images, moxing / "data")
    words = ["--data_url", "obs://bucket/data", "--train_url", "obs://bucket/run", *TINY]
    assert modelarts.main(words) == 0
    assert (moxing / "run" / "checkpoints" / "0000001" / "generator.ckpt").is_file()
    assert modelarts.main([*words, "--ckpt_url", "obs://bucket/run/checkpoints/last"]) == 0
    assert "has its 1 iterations" in capfd.readouterr().out


def test_what_a_failed_run_has_written_is_kept(moxing, started, monkeypatch, tmp_path):
    def fail(words, **_):
        (tmp_path / "cache" / "run").mkdir(parents=True)
        (tmp_path / "cache" / "run" / "train.log").write_text("so far")
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr(modelarts.subprocess, "run", fail)
    assert modelarts.main(["--data_url", str(tmp_path), "--train_url", "obs://bucket/run"]) == 1
    assert (moxing / "run" / "train.log").read_text() == "so far"


def test_openi_says_where_everything_is(started, monkeypatch):
    uploaded = []
    context = ModuleType("c2net.context")
    paths = {"dataset_path": "/data", "pretrain_model_path": "/pretrained", "output_path": "/output"}
    context.prepare = lambda: SimpleNamespace(**paths)
    context.upload_output = lambda: uploaded.append(True)
    package = ModuleType("c2net")
    package.__spec__ = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "c2net", package)
    monkeypatch.setitem(sys.modules, "c2net.context", context)
    assert modelarts.main(["--data_root", "{data}/celeba", "--pretrained_vgg", "{start}/vgg16.ckpt"]) == 0
    expected = ["--data_root", "/data/celeba", "--pretrained_vgg", "/pretrained/vgg16.ckpt", "--save_path", "/output"]
    assert started[0][2:] == expected
    assert uploaded == [True]
