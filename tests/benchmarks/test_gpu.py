"""benchmarks/gpu.py without a GPU: what it would run, and its parts on the CPU."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from model_utils.config import load_config
from tests.command_line import ROOT
from train import OPTION_GROUPS

SMALL = ["--device_target", "CPU", "--image_size", "128", "--width", "0.02", "--batch_size", "2", "--mode", "pynative"]
OWN = {"--repeats", "--time", "--bfloat16", "--compiled"}


def gpu(*words: object, code: int = 0) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


def planned(*words: object) -> dict[str, list[str]]:
    """The commands of a dry run by their names."""
    lines = gpu("--dry_run", "--output", "OUT", *words).stdout.splitlines()
    return {name.removeprefix("# "): shlex.split(line) for name, line in zip(lines[::2], lines[1::2], strict=True)}


def test_a_dry_run_has_every_switch_beside_pytorch():
    rows = planned("--torch_python", "/torch/python", "--seed", "3")
    assert list(rows)[:2] == ["step, no switch", "step, PyTorch, eager, TensorFloat-32"]
    given = " ".join(word for name, words in rows.items() if name.startswith("step") for word in words)
    for switch in ("conv_search true", "matmul_tf32 true", "jit_level O1", "deterministic true", "amp_level O2"):
        assert f"--{switch}" in given
    assert rows["step, PyTorch, bfloat16, compiled"][0] == "/torch/python"
    assert rows["tests"][0] == "TEST_DEVICE=GPU"
    assert rows["profile"][rows["profile"].index("--profile") + 1] == "1"
    assert {"50 iterations, no switch", "50 iterations, float16"} <= set(rows)


def test_options_of_a_dry_run_are_those_of_train():
    for name, words in planned("--seed", "3").items():
        if name.startswith("step") or words[1].endswith("train.py"):
            options = words[2:]
            for own in OWN & set(options):
                at = options.index(own)
                del options[at : at + (2 if own in ("--repeats", "--time") else 1)]
            config = load_config(options, groups=OPTION_GROUPS)
            assert (config.batch_size, config.seed, config.device_target) == (6, 3, "GPU")


def test_without_a_gpu_its_switches_are_left_out():
    rows = planned(*SMALL)
    assert not [name for name in rows if "search" in name or "tf32" in name or "format" in name or "three" in name]
    assert rows["tests"][0] == "TEST_DEVICE=CPU"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--output", "x", "--sead", "1"], "unknown option --sead (did you mean --seed?)"),
        (["--output", "x", "--only", "y"], "--only y: there are step, no switch; "),
        ([], "benchmarks/gpu.py needs --output "),
    ],
)
def test_what_users_get_wrong(words, error):
    assert gpu(*words, code=2).stderr.startswith(f"error: {error}")


def report(folder: Path) -> dict[str, str]:
    lines = (folder / "gpu.md").read_text().splitlines()[2:]
    return dict(re.fullmatch(r"\| (.+?) \| (.+) \|", line).groups() for line in lines)


@pytest.mark.slow
def test_parts_run_on_the_cpu(tmp_path):
    pytest.importorskip("torch")
    names = "step, no switch;step, PyTorch, eager, TensorFloat-32;photos;2 iterations, no switch;profile"
    gpu("--output", tmp_path, "--repeats", 2, "--iterations", 2, "--only", names, *SMALL)
    found = report(tmp_path)
    assert list(found) == names.split(";")
    for name in names.split(";")[:2]:
        assert re.fullmatch(r"\d+\.\d ms \(.+\), first \d+ s, \d\.\d GB", found[name])
    assert re.match(r"2 iterations, generator_loss \S+ -> \S+, 0 skipped, ", found["2 iterations, no switch"])
    assert list((tmp_path / "profile" / "profile").glob("*/ASCEND_PROFILER_OUTPUT/trace_view.json"))


def test_a_row_that_fails_is_told_and_the_next_one_begins(tmp_path):
    rows = "step, PyTorch, eager, TensorFloat-32;photos"
    gpu("--output", tmp_path, "--torch_python", "/no/python", "--only", rows, *SMALL)
    failed, photos = report(tmp_path).values()
    assert failed == "failed: /no/python: No such file or directory"
    assert "failed" not in photos


def test_when_time_is_up_nothing_more_is_begun(tmp_path):
    gpu("--output", tmp_path, "--minutes", 0, *SMALL)
    assert set(report(tmp_path).values()) == {"no time left"}
