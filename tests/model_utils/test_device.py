"""Where a run computes; everything but the last test in this one process, on the CPU."""

import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from model_utils.config import load_config
from model_utils.device import CLUSTER, Device, prepare
from src.errors import InputError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in ("RANK_SIZE", *CLUSTER):
        monkeypatch.delenv(name, raising=False)
    yield
    ms.set_context(mode=ms.PYNATIVE_MODE)
    ms.reset_auto_parallel_context()


def prepared(*argv: str) -> Device:
    return prepare(load_config(["--device_target", "CPU", *argv]))


def test_the_slow_convolutions_of_avx512_hosts_are_avoided():
    assert os.environ["ONEDNN_MAX_CPU_ISA"]


def test_one_process_is_rank_0_of_1():
    assert prepared() == Device("CPU", rank=0, world=1)
    assert prepared("--device_id", "3") == Device("CPU")  # cards are not the CPU's business


@pytest.mark.parametrize(("name", "value"), [("graph", ms.GRAPH_MODE), ("pynative", ms.PYNATIVE_MODE)])
def test_the_mode_is_set(name, value):
    prepared("--mode", name)
    assert ms.get_context("mode") == value


def test_the_seed_decides_every_random_number():
    def draw(seed: str) -> list[float]:
        prepared("--mode", "pynative", "--seed", seed)
        weight = ms.common.initializer.initializer("normal", (2,)).init_data()
        return [random.random(), np.random.rand(), *ms.ops.randn(2).asnumpy(), *weight.asnumpy()]

    assert draw("1") == draw("1")
    assert not set(draw("1")) & set(draw("2"))


@pytest.mark.parametrize("target", ["GPU", "Ascend"])
def test_a_device_that_is_not_there_is_one_line_that_knows_the_way_out(target, capfd):
    backend = {"GPU": ms.device_context.gpu, "Ascend": ms.device_context.ascend}[target]
    if backend.is_available():
        pytest.skip(f"this machine has {target}")
    with pytest.raises(InputError, match=f"^--device_target {target}: .* --device_target CPU runs without one$"):
        prepared("--device_target", target)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("device_id", [0, 1, 2])
def test_a_card_is_chosen_by_its_number(device_id, monkeypatch):
    chosen = []
    monkeypatch.setattr(ms.device_context.gpu, "is_available", lambda: True)
    monkeypatch.setattr(ms.device_context.gpu, "device_count", lambda: 2)
    monkeypatch.setattr(ms, "set_device", lambda *card: chosen.append(card))
    argv = ["--device_target", "GPU", "--device_id", str(device_id)]
    if device_id < 2:
        assert prepared(*argv) == Device("GPU")
        assert chosen == [("GPU", device_id)]
    else:
        with pytest.raises(InputError, match="--device_id 2: there are 2 GPU devices, counted from 0"):
            prepared(*argv)


def test_a_driver_that_fails_is_one_line(monkeypatch):
    def fail() -> int:
        raise RuntimeError("cuInit failed\n----\n- C++ call stack")

    monkeypatch.setattr(ms.device_context.gpu, "is_available", lambda: True)
    monkeypatch.setattr(ms.device_context.gpu, "device_count", fail)
    with pytest.raises(InputError, match=r"^--device_target GPU: cuInit failed; "):
        prepared("--device_target", "GPU")


def test_each_rank_reads_its_own_number_and_card(monkeypatch):
    from mindspore import communication

    joined, chosen = [], []
    monkeypatch.setattr(communication, "init", lambda: joined.append(True))
    monkeypatch.setattr(communication, "get_rank", lambda: 5)
    monkeypatch.setattr(communication, "get_group_size", lambda: 8)
    monkeypatch.setattr(ms.device_context.ascend, "is_available", lambda: True)
    monkeypatch.setattr(ms.device_context.ascend, "device_count", lambda: 4)
    monkeypatch.setattr(ms, "set_device", lambda *card: chosen.append(card))
    for name, value in (("RANK_SIZE", "8"), ("RANK_ID", "5"), ("DEVICE_ID", "1")):
        monkeypatch.setenv(name, value)

    assert prepared("--device_target", "Ascend") == Device("Ascend", rank=5, world=8)
    assert (joined, chosen) == ([True], [("Ascend", 1)])
    assert ms.get_auto_parallel_context("parallel_mode") == "data_parallel"
    assert ms.get_auto_parallel_context("gradients_mean")


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"MS_WORKER_NUM": "8"}, "MS_ROLE, MS_SCHED_HOST, MS_SCHED_PORT"),
        ({"MS_WORKER_NUM": "8", "MS_ROLE": "MS_WORKER"}, "MS_SCHED_HOST, MS_SCHED_PORT"),
        ({"MS_ROLE": "MS_SCHED"}, "MS_WORKER_NUM, MS_SCHED_HOST, MS_SCHED_PORT"),
    ],
)
def test_half_of_a_cluster_is_refused(given, missing, monkeypatch):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=f"^{', '.join(given)} without {missing}: "):
        prepared()


@pytest.mark.parametrize("name", ["RANK_SIZE", "MS_WORKER_NUM"])
def test_a_number_of_ranks_that_is_none_is_one_line(name, monkeypatch):
    monkeypatch.setenv(name, "eight")
    with pytest.raises(InputError, match=r"'eight': expected the number of processes"):
        prepared()


def test_what_is_left_of_a_cluster_of_one_changes_nothing(monkeypatch):
    for name, value in (("MS_WORKER_NUM", "1"), ("MS_SCHED_HOST", "127.0.0.1"), ("RANK_SIZE", "1")):
        monkeypatch.setenv(name, value)
    assert prepared() == Device("CPU")


# Switches


@pytest.mark.parametrize("switch", [["conv_search", "true"], ["matmul_tf32", "true"], ["format_transform", "false"]])
@pytest.mark.parametrize("target", ["CPU", "Ascend"])
def test_switches_of_a_gpu_are_refused_elsewhere(switch, target, monkeypatch):
    monkeypatch.setattr("model_utils.device.set_device", lambda *_: None)
    name, value = switch
    with pytest.raises(InputError, match=f"^--{name} {value}: only --device_target GPU has this switch"):
        prepared("--device_target", target, f"--{name}", value)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (["--mode", "pynative", "--jit_level", "O1"], "^--jit_level O1: --mode pynative compiles nothing"),
        (["--device_target", "GPU", "--conv_search", "--deterministic"], "^--conv_search true: .* forbids"),
    ],
)
def test_switches_that_contradict_each_other_are_refused(given, error, monkeypatch):
    monkeypatch.setattr("model_utils.device.set_device", lambda *_: None)
    with pytest.raises(InputError, match=error):
        prepared(*given)


def test_switches_reach_mindspore(monkeypatch):
    gpu, told = ms.device_context.gpu, []

    def note(name: str):
        return lambda *args, **kwargs: told.append((name, *args, *kwargs.items()))

    for name in ("conv_fprop_algo", "conv_dgrad_algo", "conv_wgrad_algo"):
        monkeypatch.setattr(gpu.op_tuning, name, note(name))
    monkeypatch.setattr(gpu.op_precision, "matmul_allow_tf32", note("tf32"))
    monkeypatch.setattr(ms, "set_deterministic", note("deterministic"))
    monkeypatch.setattr("model_utils.device.set_device", note("device"))
    monkeypatch.setattr(ms, "set_context", note("context"))

    def told_of(*argv: str) -> set:
        told.clear()
        prepared("--device_target", "GPU", *argv)
        return set(map(str, told)) - {str(("device", "GPU", 0)), str(("context", ("mode", ms.GRAPH_MODE)))}

    assert told_of() == set()
    assert told_of("--conv_search") == {
        str((f"conv_{kind}_algo", "performance")) for kind in ("fprop", "dgrad", "wgrad")
    }
    assert told_of("--matmul_tf32") == {str(("tf32", True))}
    assert told_of("--deterministic") == {str(("deterministic", True))}
    assert told_of("--jit_level", "O1") == {str(("context", ("jit_config", {"jit_level": "O1"})))}
    assert told_of("--format_transform", "false") == {str(("context", ("disable_format_transform", True)))}


SHOW = f"""import sys
sys.path.insert(0, {str(ROOT)!r})
from model_utils.device import prepare
from model_utils.entry import run
run(lambda config: print(prepare(config)))
"""


@pytest.mark.parametrize("switch", ["--deterministic", "--jit_level=O1"])
def test_a_switch_of_every_device_is_taken_on_the_cpu(switch):
    done = subprocess.run([sys.executable, "-c", SHOW, switch], capture_output=True, text=True, check=True)
    assert done.stdout == "Device(target='CPU', rank=0, world=1)\n"


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_a_cluster_that_was_started_by_hand_is_joined(count, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    cluster = dict(zip(CLUSTER, (str(count), "", "127.0.0.1", str(port)), strict=True))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SHOW],
            env=os.environ | cluster | {"MS_ROLE": role},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for role in ("MS_SCHED", *["MS_WORKER"] * count)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * (1 + count)
    shown = sorted(line for output in outputs for line in output.splitlines() if line.startswith("Device"))
    assert shown == [f"Device(target='CPU', rank={rank}, world={count})" for rank in range(count)]


@pytest.mark.slow
def test_two_processes_under_msrun_get_two_ranks(tmp_path):
    script = tmp_path / "show.py"
    script.write_text(SHOW)
    bin_folder = Path(sys.executable).parent
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    msrun = f"{bin_folder}/msrun --worker_num=2 --local_worker_num=2 --master_port={port} --join=True"
    subprocess.run(
        [*msrun.split(), f"--log_dir={tmp_path}/log", script, "--device_target", "CPU"],
        env={**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        check=True,
        timeout=120,
    )
    for rank in (0, 1):
        log = (tmp_path / "log" / f"worker_{rank}.log").read_text()
        assert f"Device(target='CPU', rank={rank}, world=2)" in log
