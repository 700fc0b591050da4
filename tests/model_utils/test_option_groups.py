"""Options belong to entry points: each shows, takes and reads its own."""

import ast
import importlib
import re
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

import eval as eval_py
import infer as infer_py
import train as train_py
from model_utils.config import ENTRY_POINTS, load_config, read_schema
from model_utils.entry import run
from src.errors import InputError
from src.inference.user_files import Settings
from tests.command_line import ROOT, words

GROUPS = {name: importlib.import_module(name).OPTION_GROUPS for name in ENTRY_POINTS}


def own_options(name: str) -> set[str]:
    return {option.name for option in read_schema().values() if option.group in GROUPS[name]}


def shown(name: str) -> set[str]:
    """The options that --help of an entry point lists."""
    done = subprocess.run([sys.executable, ROOT / f"{name}.py", "--help"], capture_output=True, text=True, check=True)
    return set(re.findall(r"^  --(\w+) ", done.stdout, re.MULTILINE)) - {"config_path"}


def test_the_entry_points_are_all_there_are():
    files = [path for path in ROOT.glob("*.py") if "run(main)" in path.read_text(encoding="utf-8")]
    assert {path.stem for path in files} == set(ENTRY_POINTS)


def test_groups_are_headings_and_every_option_has_an_entry_point():
    named = [group for groups in GROUPS.values() for group in groups]
    assert set(named) == {option.group for option in read_schema().values()}
    assert len(named) == sum(len(set(groups)) for groups in GROUPS.values())


def test_every_option_is_read_by_the_code():
    """As config.NAME, or by a name that stands somewhere as a text or as a field of Settings."""
    read = {field.name for field in fields(Settings)}
    for path in [*ROOT.glob("*.py"), *ROOT.glob("model_utils/*.py"), *ROOT.glob("src/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("config", "self.config", "c"):
                read.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                read.add(node.value)
    assert set(read_schema()) <= read


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_help_shows_the_options_of_the_entry_point_alone(name):
    assert shown(name) == own_options(name)


def test_help_of_inference_shows_no_option_of_training():
    found = shown("infer")
    assert found.isdisjoint(own_options("train") - own_options("infer"))
    assert found.isdisjoint({"train_iter", "data_root", "save_path", "resume", "batch_size", "hole_loss_w", "metrics"})
    assert {"image", "mask", "output", "checkpoint_path", "runtime"} <= found


@pytest.mark.parametrize(
    ("name", "argv", "line"),
    [
        ("infer", ["--train_iter", "5"], "--train_iter 5: infer.py does not use it, train.py does; leave it out"),
        ("infer", ["--resume"], "--resume: infer.py does not use it, train.py does; leave it out"),
        ("infer", ["--data_root=x"], "--data_root x: infer.py does not use it, train.py and eval.py do; leave it out"),
        ("train", ["--image", "--seed", "1"], "--image: train.py does not use it, infer.py does; leave it out"),
        (
            "train",
            ["--checkpoint_path", "x"],
            "--checkpoint_path x: train.py does not use it, eval.py, infer.py, export.py and demo.py do; leave it out",
        ),
        ("eval", ["--train_iter", "x"], "--train_iter x: eval.py does not use it, train.py does; leave it out"),
        (
            "export",
            ["--runtime", "openvino"],
            "--runtime openvino: export.py does not use it, eval.py, infer.py and demo.py do; leave it out",
        ),
        (
            "convert",
            ["--width", "0.5"],
            "--width 0.5: convert.py does not use it, train.py, eval.py, infer.py, export.py and demo.py do; "
            "leave it out",
        ),
        (
            "demo",
            ["--overwrite"],
            "--overwrite: demo.py does not use it, train.py, eval.py, infer.py, export.py and convert.py do; "
            "leave it out",
        ),
    ],
)
def test_an_option_of_another_entry_point_is_refused(name, argv, line):
    done = subprocess.run([sys.executable, ROOT / f"{name}.py", *argv], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {line}\n")


def test_a_config_has_the_options_of_its_groups_alone(tmp_path):
    (tmp_path / "mine.yaml").write_text("train_iter: 7\nquality: 90\nmodel: dgts\ndgts:\n  batch_size: 2\n")
    argv = ["--config_path", str(tmp_path / "mine.yaml")]
    config = load_config(argv, groups=GROUPS["infer"])
    assert set(config.as_dict()) == own_options("infer")
    assert config.chosen(config.as_dict()) == {"model": "dgts", "quality": 90}
    with pytest.raises(AttributeError, match="train_iter"):
        _ = config.train_iter
    assert load_config(argv, groups=GROUPS["train"]).batch_size == 2


def test_a_file_is_checked_whoever_reads_it(tmp_path):
    for text, message in (("train_iter: x", "train_iter 'x': expected a whole number"), ("sead: 1", "unknown option")):
        (tmp_path / "mine.yaml").write_text(text)
        with pytest.raises(InputError, match=message):
            load_config(["--config_path", str(tmp_path / "mine.yaml")], groups=GROUPS["infer"])


def test_an_entry_point_may_have_a_rule_of_its_own(tmp_path, monkeypatch, capsys):
    def main(config) -> None:
        print(config.model)

    monkeypatch.setitem(globals(), "OPTION_RULES", {"model": "vgg16 | lama"})
    monkeypatch.setitem(globals(), "OPTION_GROUPS", ("Network",))
    (tmp_path / "mine.yaml").write_text("model: lama\n")
    for argv in (["--model", "lama"], ["--config_path", str(tmp_path / "mine.yaml")]):
        run(main, argv)
        assert capsys.readouterr().out == "lama\n"
    with pytest.raises(SystemExit):
        run(main, ["--model", "dgts"])
    assert capsys.readouterr().err == "error: --model 'dgts': expected one of vgg16 | lama\n"
    with pytest.raises(SystemExit):
        run(main, ["--help"])
    assert "(vgg16 | lama) the network" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("groups", [None, GROUPS["train"]])  # all options, as runs wrote them before, and those of now
def test_the_config_of_a_run_serves_evaluation_inference_and_resuming(groups, checkpoint, tmp_path):
    argv = words(
        {"width": 0.02, "image_size": 128, "edge_mode": "clean", "sigma": 1.5, "train_iter": 5, "resume": True}
    )
    config = load_config(argv, groups=groups)
    config.dump(tmp_path / "config.yaml")
    from_run = ["--config_path", str(tmp_path / "config.yaml")]
    assert load_config(from_run, groups=train_py.OPTION_GROUPS) == load_config(argv, groups=train_py.OPTION_GROUPS)

    Image.fromarray(np.full((128, 128, 3), 90, np.uint8)).save(tmp_path / "image.png")
    Image.fromarray(np.eye(128, dtype=bool)).save(tmp_path / "mask.png")
    given = {"checkpoint_path": checkpoint, "mode": "pynative"}
    one = {"image": tmp_path / "image.png", "mask": tmp_path / "mask.png", "output": tmp_path / "filled.png"}
    run(infer_py.main, from_run + words(given | one))
    assert (tmp_path / "filled.png").is_file()
    scored = {
        "data_root": tmp_path / "image.png",
        "eval_masks_root": tmp_path / "mask.png",
        "output_path": tmp_path / "scores",
    }
    run(eval_py.main, from_run + words(given | scored))
    assert (tmp_path / "scores" / "metrics.json").is_file()
