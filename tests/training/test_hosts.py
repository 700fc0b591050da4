"""Two launchers as two hosts on the loopback, each with one rank, are two ranks of one host."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.command_line import ROOT, words
from tests.scripts.test_msrun import kill, two_free_ports
from tests.training.conftest import SMALL, assert_same, write_images

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four images."""
    return write_images(tmp_path_factory.mktemp("four"), 4)


@pytest.fixture
def start(tmp_path, images) -> Iterator[Callable[..., list[subprocess.Popen]]]:
    """start("name", hosts, option=value, …): a run of two ranks on so many hosts that share a file system."""
    jobs = []

    def start(name: str, hosts: int, **options: object) -> list[subprocess.Popen]:
        small = SMALL | {"save_path": tmp_path / name, "data_root": images, "width": 0.02, "train_iter": 1}
        command = ["bash", ROOT / "scripts" / "run_distribute_train_cpu.sh", str(2 // hosts), *words(small | options)]
        several = {"NODE_NUM": str(hosts), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(two_free_ports())}
        for number in range(hosts):
            environment = {**os.environ, "PYTHON": sys.executable, **several, "NODE_RANK": str(number)}
            jobs.append(
                subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )
        return jobs[-hosts:]

    yield start
    for job in jobs:
        if job.poll() is None:
            kill(job)


def end(job: subprocess.Popen, timeout: float = 600) -> tuple[int, str, str]:
    output, errors = job.communicate(timeout=timeout)
    return job.returncode, output, errors


def wait_for_iteration(jobs: list[subprocess.Popen], run: Path) -> None:
    while not ((run / "metrics.csv").is_file() and (run / "metrics.csv").read_text().count("\n") > 1):
        assert [job.poll() for job in jobs] == [None, None]
        time.sleep(0.1)


def processes_of(run: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cmdline"]) if str(run) in (process.info["cmdline"] or [])]


def test_two_hosts_train_as_one_does(start, tmp_path):
    (alone,) = start("one", 1)
    code, output, errors = end(alone)
    assert (code, errors) == (0, ""), output

    first, second = start("two", 2)
    for job, part in ((first, 1), (second, 2)):
        code, output, errors = end(job)
        assert (code, errors) == (0, "")
        assert f"iterations 1 to 1, batch {part} of every 2" in output
        assert ("Wrote " in output) == (job is first)  # rank 0 alone writes
    logs = sorted(path.name for path in (tmp_path / "two" / "logs").iterdir())
    assert [re.sub(r"^\d{8}-\d{6}-", "", name) for name in logs] == ["host0", "host1"]
    assert [path.name for path in (tmp_path / "two" / "checkpoints").iterdir() if path.is_dir()] == ["0000001"]
    assert_same(tmp_path / "one", tmp_path / "two", 1)


@pytest.mark.parametrize("victim", [0, 1])
def test_kill_9_of_a_host_ends_the_other(victim, start, tmp_path):
    jobs = start("killed", 2, train_iter=1000)
    wait_for_iteration(jobs, tmp_path / "killed")
    kill(jobs[victim])
    began = time.monotonic()
    code, _, errors = end(jobs[1 - victim], timeout=60)
    print(f"host {1 - victim} ended {time.monotonic() - began:.1f} s after host {victim}, with exit code {code}")
    assert (code, errors.count("\n")) == (1, 1)
    assert errors.startswith(f"error: host {victim} is gone, so the job was stopped; logs of this host: ")
    assert processes_of(tmp_path / "killed") == []


def test_a_signal_to_one_host_ends_both_with_a_checkpoint(start, tmp_path):
    jobs, run = start("stopped", 2, train_iter=1000), tmp_path / "stopped"
    wait_for_iteration(jobs, run)
    jobs[1].send_signal(signal.SIGTERM)
    (code, output, errors), second = (end(job, timeout=60) for job in jobs)
    assert (code, errors) == (0, "")
    assert (second[0], second[2]) == (0, "")
    done = int((run / "checkpoints" / "last").read_text())
    assert f"Stopped after iteration {done} of 1000, checkpoint {run}/checkpoints/{done:07d}; --resume" in output
