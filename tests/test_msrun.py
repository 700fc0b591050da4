"""scripts/msrun.py: how a job of several ranks ends, with ranks that do nothing but that.

How a real training job ends is in training/test_distributed.py.
"""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]
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
    """start("what each rank does"): a job of two ranks. None of its processes may be left in the end."""
    script = tmp_path / "rank.py"

    def start(rank: str) -> subprocess.Popen:
        script.write_text(RANK + rank)
        words = ["--worker_num=2", "--local_worker_num=2", f"--log_dir={tmp_path}/logs", "--join=True"]
        command = [sys.executable, ROOT / "scripts" / "msrun.py", *words, "--tail_worker_log=2", script]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    yield start
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if str(script) in command]


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
    code, output, errors = end(start("print('error: no pictures', file=sys.stderr)\nsys.exit(2)"))
    assert (code, errors) == (2, "error: no pictures\n")
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


def test_logs_of_an_earlier_job_are_not_written_over(start, tmp_path):
    (tmp_path / "logs").mkdir()
    code, _, errors = end(start(""))
    assert (code, errors) == (2, f"error: {tmp_path}/logs: File exists\n")
