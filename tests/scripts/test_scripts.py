"""The shell scripts: what they would run, which Python they choose, and that they delete nothing."""

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from model_utils.config import Config, load_config

ROOT = Path(__file__).parents[2]
SCRIPTS = [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run"]
SETTINGS = ("PYTHON", "VIRTUAL_ENV", "DRY_RUN", "NODE_NUM", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
LAUNCHERS = {  # script: entry point, and the model zoo's order of arguments
    "run_standalone_train": (
        "train.py",
        ["device_id", "config_path", "save_path", "pretrained_vgg", "data_root", "train_masks_root", "anno_path"],
    ),
    "run_eval": (
        "eval.py",
        ["device_id", "config_path", "checkpoint_path", "data_root", "eval_masks_root", "anno_path", "output_path"],
    ),
    "run_export": ("export.py", ["device_id", "config_path", "checkpoint_path", "output_path"]),
}


def bash(script: Path, *arguments: str, path: str = "", **environment: str) -> subprocess.CompletedProcess:
    """Run a script with `path` in front of PATH and no environment activated."""
    clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    clean["PATH"] = f"{path}{os.pathsep}{clean['PATH']}" if path else clean["PATH"]
    return subprocess.run(
        ["bash", script, *arguments], env=clean | environment, capture_output=True, text=True, check=False
    )


def load(command: list[str]) -> Config:
    """The options that the entry point of a command reads, which has to take all of them."""
    file, *argv = command
    return load_config(argv, groups=importlib.import_module(Path(file).stem).OPTION_GROUPS)


def dry_run(name: str, *arguments: str, **environment: str) -> str:
    done = bash(ROOT / "scripts" / name, *arguments, **{"DRY_RUN": "1", "PYTHON": sys.executable} | environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.rstrip("\n")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_sound_and_deletes_nothing(script):
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert not re.search(r"\b(rm|rmdir|unlink|shred)\b|--clear\b|-delete\b", script.read_text())


def test_shellcheck_finds_nothing():
    beside_python = Path(sys.executable).with_name("shellcheck")  # where requirements-dev.txt puts it
    done = subprocess.run([beside_python, "-x", *SCRIPTS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("target", ["CPU", "GPU", "Ascend"])
@pytest.mark.parametrize("action", LAUNCHERS)
def test_arguments_are_options_in_the_model_zoos_order(action, target, tmp_path):
    entry_point, names = LAUNCHERS[action]
    name = f"{action}_{target.lower()}.sh"
    config_path = tmp_path / "my options.yaml"
    config_path.write_text("seed: 7\n")
    values = ["0" if option == "device_id" else f"a {option}" for option in names]
    values[1] = str(config_path)

    last = {"train.py": "--resume", "eval.py": "--overwrite", "export.py": "--export_parts"}[entry_point]
    command = dry_run(name, *values, "--width", "0.5", last)
    options = [word for pair in zip((f"--{option}" for option in names), values, strict=True) for word in pair]
    expected = [
        sys.executable,
        f"{ROOT}/{entry_point}",
        "--device_target",
        target,
        *options,
        "--width",
        "0.5",
        last,
    ]
    assert shlex.split(command) == expected

    config = load(expected[1:])
    assert (config.device_target, config.seed, config.width) == (target, 7, 0.5)
    assert getattr(config, last.removeprefix("--")) is True
    help_text = dry_run(name, "--help")
    assert help_text.startswith(f"usage: bash scripts/{name} [{'] ['.join(names).upper()}] [--option value ...]\n")


def test_arguments_may_be_left_out_or_empty():
    assert dry_run("run_export_cpu.sh", PYTHON="true") == f"true {ROOT}/export.py --device_target CPU"
    command = dry_run("run_eval_gpu.sh", "1", "", "x.ckpt", "--protocol=lbam", PYTHON="true")
    assert command == f"true {ROOT}/eval.py --device_target GPU --device_id 1 --checkpoint_path x.ckpt --protocol=lbam"


@pytest.mark.parametrize("target", ["CPU", "GPU", "Ascend"])
def test_a_distributed_run_takes_the_arguments_of_a_standalone_one(target):
    _, (_, *names) = LAUNCHERS["run_standalone_train"]
    values = [f"a {option}" for option in names]
    command = shlex.split(dry_run(f"run_distribute_train_{target.lower()}.sh", "4", *values, "--width", "0.5"))
    log_dir = command.pop(6)
    assert re.fullmatch(r"--log_dir=a save_path/logs/\d{8}-\d{6}", log_dir)
    options = [word for pair in zip((f"--{option}" for option in names), values, strict=True) for word in pair]
    msrun = [f"{ROOT}/scripts/msrun.py", "--worker_num=4", "--local_worker_num=4", "--join=True", "--tail_worker_log=4"]
    train = [f"{ROOT}/train.py", "--device_target", target, *options, "--width", "0.5"]
    assert command == [sys.executable, *msrun, *train]


@pytest.mark.parametrize(
    ("given", "to_msrun"),
    [
        (["--bind_core", "True"], ["--bind_core=True"]),
        (["--bind_core=False", "--bind_numa", "True"], ["--bind_core=False", "--bind_numa=True"]),
        (["--bind_core", '{"device0":["0-3"]}'], ['--bind_core={"device0":["0-3"]}']),
    ],
)
def test_cores_of_ranks_are_msruns_business(given, to_msrun):
    command = shlex.split(dry_run("run_distribute_train_ascend.sh", "8", "", "run", "--seed", "1", *given, "--resume"))
    script = command.index(f"{ROOT}/train.py")
    assert command[6 : script - 1] == to_msrun
    assert command[script + 1 :] == ["--device_target", "Ascend", "--save_path", "run", "--seed", "1", "--resume"]


def test_a_binding_without_a_value_is_one_line():
    done = bash(ROOT / "scripts" / "run_distribute_train_cpu.sh", "2", "--bind_core", DRY_RUN="1", PYTHON="true")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --bind_core needs a value: True, or what msrun's --help says\n"


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        (["--save_path=x"], "x"),
        (["", "first", "--save_path", "last"], "last"),  # as train.py reads them
        (["--width", "0.5"], "outputs"),
    ],
)
def test_logs_of_ranks_are_in_the_runs_folder(options, folder):
    assert f" --log_dir={folder}/logs/" in dry_run("run_distribute_train_cpu.sh", "2", *options)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "DEVICE_NUM '' is no number of devices; see run_distribute_train_gpu.sh --help"),
        (["--resume"], "DEVICE_NUM '--resume' is no number of devices; see run_distribute_train_gpu.sh --help"),
        (["0"], "DEVICE_NUM '0' is no number of devices; see run_distribute_train_gpu.sh --help"),
        (["1"], "DEVICE_NUM 1: run_standalone_train_gpu.sh trains on one device"),
        (["2", *"abcdefg"], "unexpected 'g'; see run_distribute_train_gpu.sh --help"),
    ],
)
def test_a_distributed_run_needs_a_number_of_devices(arguments, error):
    done = bash(ROOT / "scripts" / "run_distribute_train_gpu.sh", *arguments, DRY_RUN="1", PYTHON=sys.executable)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {error}\n")


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize("environment", [{}, {"MASTER_PORT": "9000"}])
def test_several_hosts_are_named_to_msrun(count, environment):
    several = {"NODE_NUM": "3", "NODE_RANK": "2", "MASTER_ADDR": "host-0.example"} | environment
    command = shlex.split(dry_run("run_distribute_train_gpu.sh", str(count), "", "run", **several))
    log_dir = command.pop(9)
    assert re.fullmatch(r"--log_dir=run/logs/\d{8}-\d{6}-host2", log_dir)
    port = environment.get("MASTER_PORT", "8118")
    ranks = [
        f"--worker_num={3 * count}",
        f"--local_worker_num={count}",
        "--join=True",
        f"--tail_worker_log={3 * count}",
    ]
    host = ["--node_rank=2", "--master_addr=host-0.example", f"--master_port={port}"]
    train = [f"{ROOT}/train.py", "--device_target", "GPU", "--save_path", "run"]
    assert command == [sys.executable, f"{ROOT}/scripts/msrun.py", *ranks, *host, *train]


def test_one_host_asks_for_no_other_setting():
    alone = dry_run("run_distribute_train_cpu.sh", "2", NODE_NUM="1", NODE_RANK="x", MASTER_ADDR="", MASTER_PORT="")
    assert "--worker_num=2 --local_worker_num=2 --join=True --tail_worker_log=2 --log_dir=outputs/logs/" in alone


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ({"NODE_NUM": "two"}, "NODE_NUM 'two' is no number of hosts"),
        ({"NODE_NUM": "0"}, "NODE_NUM '0' is no number of hosts"),
        ({"NODE_RANK": ""}, "NODE_RANK '': each of the NODE_NUM=2 hosts has its own number, from 0 to 1"),
        ({"NODE_RANK": "2"}, "NODE_RANK '2': each of the NODE_NUM=2 hosts has its own number, from 0 to 1"),
        ({"NODE_RANK": "-1"}, "NODE_RANK '-1': each of the NODE_NUM=2 hosts has its own number, from 0 to 1"),
        ({"MASTER_ADDR": ""}, "MASTER_ADDR '': every host needs the address of host 0, a name or an IP address"),
        ({"MASTER_ADDR": "a b"}, "MASTER_ADDR 'a b': every host needs the address of host 0, a name or an IP address"),
        ({"MASTER_PORT": "80"}, "MASTER_PORT '80': a number from 1024 to 65534; the port after it is used as well"),
        (
            {"MASTER_PORT": "65535"},
            "MASTER_PORT '65535': a number from 1024 to 65534; the port after it is used as well",
        ),
        ({"MASTER_PORT": "http"}, "MASTER_PORT 'http': a number from 1024 to 65534; the port after it is used as well"),
    ],
)
def test_a_host_that_is_not_named_well_is_one_line(setting, error):
    several = {"NODE_NUM": "2", "NODE_RANK": "0", "MASTER_ADDR": "10.0.0.1", "DRY_RUN": "1"} | setting
    done = bash(ROOT / "scripts" / "run_distribute_train_cpu.sh", "1", PYTHON=sys.executable, **several)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {error}\n")


def test_help_of_a_distributed_run():
    text = dry_run("run_distribute_train_ascend.sh", "--help")
    assert text.startswith("usage: bash scripts/run_distribute_train_ascend.sh DEVICE_NUM [CONFIG_PATH] [SAVE_PATH] ")
    assert "--resume" in text


def test_one_argument_too_many_is_one_line():
    done = bash(ROOT / "scripts" / "run_export_gpu.sh", "0", "c.yaml", "x.ckpt", "x.mindir", "y", DRY_RUN="1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: unexpected 'y'; see run_export_gpu.sh --help\n"


def test_the_exit_code_is_the_entry_points(tmp_path):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ "$1" = -c ] || exit 7\n')
    python.chmod(0o755)
    assert bash(ROOT / "scripts" / "run_eval_cpu.sh", PYTHON=str(python)).returncode == 7


def test_a_python_that_does_not_run_is_named():
    done = bash(ROOT / "scripts" / "run_eval_cpu.sh", PYTHON="/no/python")
    assert (done.returncode, done.stderr) == (2, "error: PYTHON=/no/python does not run\n")


def fake_python(folder: Path, *modules: str) -> str:
    """A folder whose `python` and `python3` say that they have these modules, and no others."""
    folder.mkdir()
    for name in ("python", "python3"):
        known = " | ".join(f"*find_spec*{module}*" for module in modules)
        (folder / name).write_text(f'#!/bin/sh\ncase "$2" in {known}) exit 0 ;; esac\nexit 1\n')
        (folder / name).chmod(0o755)
    return str(folder)


def test_an_environment_that_has_mindspore_is_used_as_it_is(tmp_path):
    path = fake_python(tmp_path / "bin", "mindspore", "numpy", "cv2", "skimage", "PIL", "yaml")
    assert dry_run("run_eval_gpu.sh", path=path, PYTHON="").startswith(f"python {ROOT}/eval.py ")


def test_an_environment_that_lacks_a_package_is_told_so(tmp_path):
    path = fake_python(tmp_path / "bin", "mindspore", "numpy")
    done = bash(ROOT / "scripts" / "run_eval_gpu.sh", path=path, DRY_RUN="1")
    assert done.returncode == 2
    assert "bin/python has MindSpore but not cv2: python -m pip install -r requirements.txt" in done.stderr


def test_without_mindspore_the_projects_own_environment_serves(tmp_path):
    path = fake_python(tmp_path / "bin", "numpy")
    assert dry_run("run_eval_gpu.sh", path=path, PYTHON="").startswith(f"{ROOT}/.venv/bin/python {ROOT}/eval.py ")


@pytest.fixture
def with_mindspore(tmp_path):
    """with_mindspore(version, "what importing it runs"): a folder of a `python` that has this MindSpore."""

    def make(version: str, code: str = "") -> str:
        package = tmp_path / "packages" / "mindspore"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(code)
        (package / "version.py").write_text(f"__version__ = '{version}'\n" if version else "")
        (tmp_path / "bin").mkdir()
        for name in ("python", "python3"):
            lines = f'#!/bin/sh\nPYTHONPATH={package.parent} exec {sys.executable} "$@"\n'
            (tmp_path / "bin" / name).write_text(lines)
            (tmp_path / "bin" / name).chmod(0o755)
        return str(tmp_path / "bin")

    return make


NO_GPU = """class device_context:
    class gpu:
        is_available = staticmethod(lambda: False)
__version__ = "2.10.0"
"""


@pytest.mark.parametrize(
    ("version", "code", "error"),
    [
        ("2.2.14", "", "MindSpore 2.2.14: this project is for 2.9 and 2.10; PYTHON="),
        ("2.11.0", "", "MindSpore 2.11.0: this project is for 2.9 and 2.10; PYTHON="),
        ("", "", "MindSpore of an unknown version: this project is for 2.9 and 2.10; PYTHON="),
        ("2.10.0", NO_GPU, "MindSpore 2.10.0 finds no GPU; PYTHON="),
        (
            "2.10.0",
            "raise ImportError('libascendcl.so: no such file')",
            "MindSpore cannot be imported: libascendcl.so: no",
        ),
    ],
)
def test_a_mindspore_that_does_not_suit_is_one_line(version, code, error, with_mindspore):
    done = bash(ROOT / "scripts" / "run_eval_gpu.sh", path=with_mindspore(version, code))
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"error: \S+: {re.escape(error)}[^\n]*\n", done.stderr)


@pytest.mark.parametrize("version", ["2.9.0", "2.10.0rc1"])
def test_a_mindspore_that_suits_the_cpu_is_not_imported(version, with_mindspore):
    path = with_mindspore(version, "raise ImportError")
    done = subprocess.run([f"{path}/python", ROOT / "scripts" / "check_mindspore.py", "CPU"], check=False)
    assert done.returncode == 0


def test_the_versions_that_are_checked_are_those_that_are_installed():
    from scripts.check_mindspore import BELOW, FROM

    bounds = [".".join(map(str, bound)) for bound in (FROM, BELOW)]
    assert "mindspore>={},<{} ".format(*bounds) in (ROOT / "requirements-mindspore.txt").read_text()


def test_no_requirements_replace_a_mindspore_that_is_there():
    naming = [path.name for path in ROOT.glob("requirements*.txt") if re.search("^mindspore", path.read_text(), re.M)]
    assert naming == ["requirements-mindspore.txt"]
    including = [path.name for path in ROOT.glob("requirements*.txt") if f"-r {naming[0]}\n" in path.read_text() + "\n"]
    assert including in ([], naming)  # its own comment says how to install it


@pytest.fixture
def make_venv(tmp_path):
    """A project of its own that consists of the function under test."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "common.sh", tmp_path / "scripts")
    script = tmp_path / "scripts" / "make.sh"
    script.write_text('source "${BASH_SOURCE[0]%/*}/common.sh"\nmake_venv requirements.txt\n')
    return script


def test_the_environment_is_made_once_and_filled_when_requirements_change(make_venv, tmp_path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n")
    first, second = bash(make_venv), bash(make_venv)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert f"Making {tmp_path}/.venv" in first.stderr
    assert "Installing requirements.txt" in first.stderr
    assert second.stderr == ""

    requirements.write_text("./no-such-package\n")
    for _ in range(2):  # what failed is tried again
        third = bash(make_venv)
        assert third.returncode == 2
        assert third.stderr.endswith("error: could not install requirements.txt\n")
        assert "Making" not in third.stderr


def test_a_machine_without_a_fitting_python_is_told_which_it_needs(make_venv, tmp_path):
    (tmp_path / "tools").mkdir()
    for tool in ("bash", "dirname"):
        (tmp_path / "tools" / tool).symlink_to(shutil.which(tool))
    done = subprocess.run(
        ["bash", make_venv], env={"PATH": str(tmp_path / "tools")}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: no Python 3.10, 3.11 or 3.12 found")


def test_tests_run_without_the_slow_ones_unless_asked():
    pytest = "-m pytest -m not\\ slow -n 2 --dist loadfile"
    assert dry_run("run_tests.sh", "tests/x.py", PYTHON="python") == f"python {pytest} tests/x.py"
    extras = ("--with-torch", "--with-onnx", "--with-demo")
    assert dry_run("run_tests.sh", *extras, PYTHON="") == f"{ROOT}/.venv/bin/python {pytest}"
    assert dry_run("run_tests.sh", "--help").startswith("Run the tests")


def test_the_quickstart_trains_each_model_and_uses_what_it_trained(tmp_path):
    words = {model: dry_run("quickstart.sh", *model, str(tmp_path)) for model in ((), ("--model", "dgts"))}
    trained = [re.findall(r"train\.py .*--model (\w+)", text) for text in words.values()]
    assert trained == [["ctsdg"], ["dgts", "upsampler"]]
    for text, model in zip(words.values(), ("ctsdg", "dgts"), strict=True):
        lines = [shlex.split(line) for line in text.splitlines() if line.startswith(sys.executable)]
        lines = [line for line in lines if Path(line[1]).parent == ROOT]
        assert Path(lines[0][1]).name == "infer.py"
        assert not load(lines[0][1:]).given("checkpoint_path")  # with the weights that ship
        used = {Path(line[1]).name: load(line[1:]) for line in lines[1:]}
        assert list(used) == ["train.py", "eval.py", "export.py", "infer.py"]
        for command in ("eval.py", "export.py"):
            assert used[command].checkpoint_path == f"{tmp_path}/run/checkpoints/last"
            assert bool(used[command].upsampler_path) == (model == "dgts")
        assert used["export.py"].output_path == used["infer.py"].checkpoint_path == f"{tmp_path}/{model}.mindir"


def test_the_quickstart_refuses_what_it_does_not_know():
    for arguments in (("--model", "vgg16"), ("--model",), ("a", "b"), ("--width", "1")):
        done = bash(ROOT / "scripts" / "quickstart.sh", *arguments, DRY_RUN="1", PYTHON=sys.executable)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: ")
