"""What an entry point shows of what goes wrong: one line and an exit code."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from model_utils.config import load_config
from model_utils.entry import require, run
from src.errors import InputError

ROOT = Path(__file__).parents[2]


def stopped(capsys, main, *argv: str) -> tuple[int, str]:
    """Exit code and standard error of an entry point that ends early."""
    with pytest.raises(SystemExit) as stop:
        run(main, argv)
    return stop.value.code, capsys.readouterr().err


def raiser(error: BaseException):
    def main(config):
        raise error

    return main


def test_main_receives_the_options(capsys):
    run(lambda config: print(config.width), ["--width", "0.5"])
    assert capsys.readouterr().out == "0.5\n"


def test_wrong_input_is_one_line_and_exit_code_2(capsys):
    assert stopped(capsys, raiser(InputError("no images\nin x"))) == (2, "error: no images in x\n")


def test_a_wrong_option_stops_before_main(capsys):
    code, text = stopped(capsys, raiser(AssertionError("main was called")), "--seed", "x")
    assert (code, text) == (2, "error: --seed 'x': expected a whole number (0 to 4294967295)\n")


def test_an_output_folder_that_is_a_file_is_named(capsys, tmp_path):
    (tmp_path / "out").write_text("")
    code, text = stopped(capsys, lambda config: (tmp_path / "out" / "samples").mkdir())
    assert (code, text) == (2, f"error: {tmp_path}/out/samples: Not a directory\n")


def test_a_full_disk_is_one_line(capsys):
    error = OSError(errno.ENOSPC, "No space left on device")
    assert stopped(capsys, raiser(error)) == (2, "error: No space left on device\n")


def test_an_interrupt_is_one_line_and_exit_code_130(capsys):
    assert stopped(capsys, raiser(KeyboardInterrupt())) == (130, "interrupted\n")


@pytest.mark.parametrize("error", [ValueError("shape"), OSError(errno.ECONNRESET, "reset"), RuntimeError()])
def test_a_bug_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        run(raiser(error), [])


def test_require_names_everything_that_is_missing_and_explains_it(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["some/where/train.py"])
    config = load_config(["--data_root", "pictures"])
    require(config, "data_root")
    with pytest.raises(InputError) as error:
        require(config, "data_root", "eval_masks_root", "pretrained_vgg")
    assert str(error.value) == (
        "train.py needs --eval_masks_root (folder of mask images for evaluation), "
        "--pretrained_vgg (VGG16 checkpoint (for dgts and upsampler VGG19) for the losses on its features)"
    )


SCRIPT = f"""'''Train a network.'''
import sys
sys.path.insert(0, {str(ROOT)!r})
from model_utils.device import prepare
from model_utils.entry import run

def main(config):
    prepare(config)

try:
    run(main)
finally:
    assert "mindspore" not in sys.modules
"""


def test_help_and_typos_answer_without_mindspore():
    """They must be instant; importing MindSpore takes seconds."""
    for argument, code, first in (("--help", 0, "Train a network."), ("--sead=1", 2, "error: unknown option --sead ")):
        done = subprocess.run([sys.executable, "-c", SCRIPT, argument], capture_output=True, text=True, check=False)
        assert done.returncode == code
        assert (done.stdout + done.stderr).startswith(first)


def test_a_reader_that_leaves_early_is_no_error():
    printing = SCRIPT.replace("prepare(config)", "print('a row of a table' * 10_000)")
    # argparse keeps quiet about it, or leaves it to us: that depends on Python's version.
    for script, argument, codes in ((printing, "--resume", {1}), (SCRIPT, "--help", {0, 1})):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-c", script, argument], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
        os.close(writer)
        assert done.returncode in codes
        assert done.stderr == ""
