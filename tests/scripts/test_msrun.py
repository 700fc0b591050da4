"""scripts/msrun.py: how a job of several ranks ends, with ranks that do nothing but that.

How a real training job ends is in training/test_distributed.py.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
RANK = """
import os, signal, sys, time
print("hello from", os.environ["MS_ROLE"], os.environ["RANK_ID"], flush=True)
scheduler, rank = os.environ["MS_ROLE"] == "MS_SCHED", int(os.environ["RANK_ID"])
if scheduler:  # as MindSpore's does where a rank is dead
    time.sleep(600)
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen]]:
    """start("what each rank does"): a job of two ranks. None of its processes may be left in the end.

    Or, with more of msrun's options, which override these.
    """
    script = tmp_path / "rank.py"

    def start(rank: str, *options: str) -> subprocess.Popen:
        script.write_text(RANK + rank)
        words = ["--worker_num=2", "--local_worker_num=2", f"--log_dir={tmp_path}/logs", "--join=True", *options]
        command = [sys.executable, ROOT / "scripts" / "msrun.py", *words, "--tail_worker_log=2", script]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    yield start
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if str(script) in command]


@pytest.fixture
def start_host(start, tmp_path) -> Callable[..., subprocess.Popen]:
    """start_host(number, "what each rank does"): one of two hosts on the loopback, with one rank."""
    port = two_free_ports()

    def start_host(number: int, rank: str, *options: str) -> subprocess.Popen:
        here = ("--local_worker_num=1", f"--node_rank={number}", f"--log_dir={tmp_path}/host{number}")
        return start(rank, *here, "--master_addr=127.0.0.1", f"--master_port={port}", *options)

    return start_host


def end(job: subprocess.Popen) -> tuple[int, str, str]:
    output, errors = job.communicate(timeout=60)
    return job.returncode, output, errors


def wait_for(path: Path, text: str) -> None:
    deadline = time.monotonic() + 60
    while not (path.is_file() and text in path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_rank_0_is_shown_and_all_end_well(start, tmp_path):
    code, output, errors = end(start("print('done', rank)"))
    assert (code, errors) == (0, "")
    assert output.splitlines() == [
        f"Logs of all ranks: {tmp_path}/logs/worker_N.log; rank 0 says:",
        "hello from MS_WORKER 0",
        "done 0",
    ]
    assert (tmp_path / "logs" / "worker_1.log").read_text() == "hello from MS_WORKER 1\ndone 1\n"


def test_the_rank_that_failed_is_named_with_its_last_lines_and_exit_code(start, tmp_path):
    began = time.monotonic()
    code, _, errors = end(start("time.sleep(2)\nif rank == 1: sys.exit(7)\ntime.sleep(600)"))
    assert code == 7
    assert errors == (
        f"The last lines of {tmp_path}/logs/worker_1.log:\n  hello from MS_WORKER 1\n"
        f"error: rank 1 ended with exit code 7, so the job was stopped; logs: {tmp_path}/logs\n"
    )
    assert time.monotonic() - began < 40


def test_what_a_user_can_mend_is_one_line(start):
    code, output, errors = end(start("print('error: no images', file=sys.stderr)\nsys.exit(2)"))
    assert (code, errors) == (2, "error: no images\n")
    assert "error" not in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_every_rank(number, start, tmp_path):
    job = start("signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nprint('ready', flush=True)\ntime.sleep(600)")
    for rank in (0, 1):
        wait_for(tmp_path / "logs" / f"worker_{rank}.log", "ready")
    job.send_signal(number)
    code, _, errors = end(job)
    assert (code, errors) == (0, "")


def test_a_rank_that_a_signal_ends_makes_the_job_fail(start, tmp_path):
    job = start("time.sleep(600)")
    wait_for(tmp_path / "logs" / "worker_1.log", "hello")
    job.send_signal(signal.SIGTERM)
    code, _, errors = end(job)
    assert code == 128 + signal.SIGTERM
    assert re.fullmatch(r"stopped by SIGTERM; logs: .*/logs\n", errors)


def test_the_second_signal_kills(start, tmp_path):
    job = start("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(600)")
    wait_for(tmp_path / "logs" / "worker_1.log", "deaf")
    job.send_signal(signal.SIGINT)
    time.sleep(1)
    assert job.poll() is None
    job.send_signal(signal.SIGINT)
    assert end(job)[0] == 128 + signal.SIGINT


def test_nothing_goes_on_when_nobody_reads_the_output(start):
    job = start("while True:\n    print('on', flush=True)\n    time.sleep(0.1)")
    assert job.stdout.readline()
    job.stdout.close()
    assert job.wait(timeout=60) != 0


def test_each_rank_keeps_to_the_cores_it_is_bound_to(start, tmp_path):
    cores = sorted(os.sched_getaffinity(0))[:2]
    bound = json.dumps({f"device{rank}": [str(core)] for rank, core in enumerate(cores)})
    code, _, errors = end(start("print(os.sched_getaffinity(0))", f"--bind_core={bound}"))
    assert (code, errors) == (0, "")
    for rank, core in enumerate(cores):
        assert (tmp_path / "logs" / f"worker_{rank}.log").read_text().endswith(f"\n{{{core}}}\n")


def test_logs_of_an_earlier_job_are_not_written_over(start, tmp_path):
    (tmp_path / "logs").mkdir()
    code, _, errors = end(start(""))
    assert (code, errors) == (2, f"error: {tmp_path}/logs: File exists\n")


def test_two_hosts_show_their_own_first_rank_and_end_well(start_host, tmp_path):
    rank = f"while rank == 1 and not os.path.exists('{tmp_path}/go'): time.sleep(0.1)\nprint('done', rank)"
    second, first = start_host(1, rank), start_host(0, rank)
    wait_for(tmp_path / "host0" / "worker_0.log", "done")
    time.sleep(5)
    assert first.poll() is None  # its scheduler serves the ranks of both
    (tmp_path / "go").touch()
    for number, job in enumerate((first, second)):
        code, output, errors = end(job)
        assert (code, errors) == (0, "")
        waiting, *shown = output.splitlines()
        assert re.fullmatch(rf"Waiting for {'host 0' if number else 'the other hosts'}, at 127\.0\.0\.1:\d+", waiting)
        assert shown == [
            f"Logs of all ranks: {tmp_path}/host{number}/worker_N.log; rank {number} says:",
            f"hello from MS_WORKER {number}",
            f"done {number}",
        ]
    assert not (tmp_path / "host1" / "scheduler.log").exists()


@pytest.mark.parametrize("victim", [0, 1])
def test_a_host_that_is_gone_ends_the_other_whatever_its_ranks_wait_for(victim, start_host, tmp_path):
    rank = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(600)"
    jobs = [start_host(number, rank) for number in (0, 1)]
    for number in (0, 1):
        wait_for(tmp_path / f"host{number}" / f"worker_{number}.log", "deaf")
    kill(jobs[victim])
    began = time.monotonic()
    code, _, errors = end(jobs[1 - victim])
    assert time.monotonic() - began < 10
    logs = tmp_path / f"host{1 - victim}"
    assert (code, errors) == (1, f"error: host {victim} is gone, so the job was stopped; logs of this host: {logs}\n")


def test_a_rank_that_fails_on_one_host_ends_the_job_on_the_other(start_host):
    rank = "time.sleep(2)\nif rank == 1: sys.exit(7)\ntime.sleep(600)"
    first, second = start_host(0, rank), start_host(1, rank)
    code, _, errors = end(second)
    assert code == 7
    assert errors.startswith("error: rank 1 ended with exit code 7, so the job was stopped; logs: ")
    code, _, errors = end(first)
    assert code == 7
    assert errors.startswith("error: host 1 ended with exit code 7, so the job was stopped; logs of this host: ")


def test_a_host_whose_ranks_have_ended_well_waits_for_the_others(start_host):
    first, second = (start_host(number, "time.sleep(6 * (1 - rank))\nsys.exit(7 * (1 - rank))") for number in (0, 1))
    assert end(first)[0] == 7
    assert end(second)[::2] == (7, "error: host 0 ended with exit code 7; the ranks of this host had ended before\n")


def test_hosts_that_count_ranks_differently_end_at_once(start_host):
    jobs = [start_host(0, "time.sleep(600)"), start_host(1, "time.sleep(600)", "--worker_num=4")]
    for job, error in zip(
        jobs, ("host 1 counts 4 ranks in all, this one 2", "host 0 counts 2 ranks in all, this one 4"), strict=True
    ):
        code, _, errors = end(job)
        assert code == 2
        assert errors.startswith(f"error: {error}, so the job was stopped; ")


def test_what_does_not_greet_as_a_launcher_is_no_host(start_host, tmp_path):
    rank = f"while rank == 0 and not os.path.exists('{tmp_path}/host1/worker_1.log'): time.sleep(0.1)"
    first = start_host(0, rank)
    waiting = first.stdout.readline()
    for words in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000):
        with socket.create_connection(("127.0.0.1", int(waiting.rpartition(":")[2]))) as stranger:
            stranger.sendall(words)
    second = start_host(1, rank)
    assert [end(job)[0] for job in (first, second)] == [0, 0]


def test_a_port_that_is_in_use_is_one_line(start_host):
    port = two_free_ports()
    for taken in (port, port + 1):
        with socket.create_server(("127.0.0.1", taken)):
            code, output, errors = end(start_host(0, "", f"--master_port={port}"))
        assert (code, output) == (2, "")
        assert errors.startswith(f"error: MASTER_ADDR 127.0.0.1, ports {port} and {port + 1}: Address already in use")


def test_waiting_for_host_0_can_be_stopped(start_host):
    job = start_host(1, "")
    assert job.stdout.readline().startswith("Waiting for host 0")
    job.send_signal(signal.SIGTERM)
    code, _, errors = end(job)
    assert code == 128 + signal.SIGTERM
    assert errors.startswith("stopped by SIGTERM; ")


def kill(job: subprocess.Popen) -> None:
    """kill -9 for the launcher and all that it has started."""
    for process in (psutil.Process(job.pid), *psutil.Process(job.pid).children(recursive=True)):
        process.kill()
    job.communicate()


def two_free_ports() -> int:
    """The first one. Neither is among those that the system gives away."""
    for port in range(20000, 30000, 2):
        with contextlib.suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 1))
            return port
    raise AssertionError("no two ports are free")
