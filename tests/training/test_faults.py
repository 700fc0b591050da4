"""What may befall a run: signals, kills, damaged checkpoints, a full disk. --resume goes on as if nothing had been."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from src.errors import InputError
from src.training.run_folder import RunFolder
from tests.command_line import words
from tests.training.conftest import SMALL, assert_same, rows

SCRIPT = Path(__file__).with_name("tiny_train.py")


@pytest.fixture
def start(tmp_path: Path, images: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """start("name", option=value, …): a process that trains the tiny networks in the folder of that name."""
    started = []

    def start(name: str, **options: object) -> subprocess.Popen:
        options = SMALL | {"data_root": images, "save_path": tmp_path / name} | options
        command = [sys.executable, str(SCRIPT), *words(options)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def wait_for_iteration(run: Path, number: int) -> None:
    while not (run / "metrics.csv").is_file() or len(rows(run)) < number:
        time.sleep(0.01)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run", ("iteration", "loss"), keep=2)


def write(content: str) -> Callable[[Path], None]:
    """Fill a checkpoint with files of this content."""

    def write(folder: Path) -> None:
        for name in ("generator", "trainer"):
            (folder / f"{name}.ckpt").write_bytes(content.encode())

    return write


def finish(process: subprocess.Popen) -> tuple[int, list[str], list[str]]:
    output, errors = process.communicate(timeout=300)
    return process.returncode, output.splitlines(), errors.splitlines()


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_and_the_run_goes_on(start, train, tmp_path, number):
    run = tmp_path / "stopped"
    process = start("stopped", train_iter=10_000)
    wait_for_iteration(run, 2)
    process.send_signal(number)
    code, output, errors = finish(process)
    done = int(rows(run)[-1]["iteration"])
    assert code == 0
    assert output[-1] == (
        f"Stopped after iteration {done} of 10000, checkpoint {run}/checkpoints/{done:07d}; --resume goes on"
    )
    assert not any("Traceback" in line for line in errors)
    train("stopped", train_iter=done + 1, resume=True)
    assert_same(train("straight", train_iter=done + 1), run, done + 1)


def test_a_second_signal_ends_at_once(start, tmp_path):
    process = start("stopped", train_iter=10_000)
    wait_for_iteration(tmp_path / "stopped", 1)
    os.kill(process.pid, signal.SIGSTOP)  # so that both are there before the iteration ends
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
    os.kill(process.pid, signal.SIGCONT)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.001)
    assert process.returncode == -signal.SIGTERM
    assert list((tmp_path / "stopped" / "checkpoints").glob("0*")) == []


# kill -9


OPTIONS = {"train_iter": 12, "finetune_iter": 8, "save_checkpoint_steps": 2, "keep_checkpoint_max": 2}


@pytest.mark.slow
def test_three_kills_change_nothing(start, tmp_path):
    assert finish(start("straight", **OPTIONS))[0] == 0
    run, chance = tmp_path / "killed", random.Random(0)
    for kill in range(3):
        done = newest(run)
        process = start("killed", **OPTIONS, **({"resume": True} if kill else {}))
        # Its first checkpoint, then any moment: of an iteration, of a save, between two renamings.
        while newest(run) <= done:
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.3))
        process.kill()
        process.communicate()
        assert newest(run) < 20
    assert finish(start("killed", **OPTIONS, resume=True))[0] == 0
    assert_same(tmp_path / "straight", run, 20)
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["0000018", "0000020", "last"]


def newest(run: Path) -> int:
    return max((int(path.name) for path in (run / "checkpoints").glob("0*")), default=0)


class Killed(BaseException):
    """What no `except` of the program catches."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("operation", range(1, 12))
def test_a_kill_between_any_two_operations_on_files_loses_nothing(folder, monkeypatch, operation, after):
    """Saving 10, where an earlier run has one of that name and 5 is too old to stay."""
    folder.start(overwrite=False)
    folder.save(10, write("earlier"))
    folder.start(overwrite=True)
    for iteration in (5, 7):
        folder.save(iteration, write(f"{iteration}"))
    calls = []

    def killing(function):
        def wrapped(*args, **kwargs):
            calls.append(function)
            if len(calls) == operation and not after:
                raise Killed
            number = len(calls)
            try:
                return function(*args, **kwargs)
            finally:
                if number == operation:
                    raise Killed

        return wrapped

    with monkeypatch.context() as patch:
        for place, name in ((os, "replace"), (os, "unlink"), (os, "rmdir"), (os, "mkdir"), (Path, "write_text")):
            patch.setattr(place, name, killing(getattr(place, name)))
        try:
            folder.save(10, write("10"))
        except Killed:
            pass
        else:
            assert operation > len(calls) > 5
    again = RunFolder(folder.path, folder.columns, folder.keep)
    checkpoint, iteration = again.resume()
    assert iteration in (7, 10)
    assert (checkpoint / "generator.ckpt").read_text() == str(iteration)
    assert not list(again.checkpoints.glob(".*"))
    assert (again.checkpoints / "last").read_text() == f"{iteration:07d}\n"
    assert again.written[-1] == checkpoint


# Damage


def truncated(path: Path, size: int) -> None:
    os.truncate(path, path.stat().st_size - size if size > 0 else 0)


def flipped(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << place % 8
    path.write_bytes(content)


DAMAGES = {
    "empty": lambda path: truncated(path, 0),
    "a byte short": lambda path: truncated(path, 1),
    "a line short": lambda path: truncated(path, len(path.read_bytes().splitlines(keepends=True)[-1])),
    "flipped": lambda path: flipped(path, 3),
    "flipped elsewhere": lambda path: flipped(path, 100),
    "deleted": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("file", ["generator.ckpt", "trainer.ckpt", "SHA256SUMS"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(folder, caplog, file, damage):
    folder.start(overwrite=False)
    for iteration in (5, 10):
        folder.save(iteration, write(f"{iteration}"))
    damage(folder.checkpoints / "0000010" / file)
    later = RunFolder(folder.path, folder.columns, folder.keep)
    assert later.resume() == (folder.checkpoints / "0000005", 5)
    (message,) = caplog.messages
    assert f"{folder.checkpoints}/0000010/" in message
    assert message.endswith(f"; going on from {folder.checkpoints}/0000005.")

    later.save(10, write("10"))
    assert later.newest() == (folder.checkpoints / "0000010", 10)
    for checkpoint in ("0000005", "0000010"):
        damage(folder.checkpoints / checkpoint / file)
    with pytest.raises(InputError, match=r"no checkpoint is whole: \S+/0000010/\S+ is .*/0000005/"):
        later.resume()


@pytest.mark.parametrize("content", [None, "", "0000005\n", "0000099\n", "../elsewhere\n", "\0\0"])
def test_the_file_that_names_the_newest_may_be_damaged(folder, caplog, content):
    folder.start(overwrite=False)
    for iteration in (5, 10):
        folder.save(iteration, write(f"{iteration}"))
    last = folder.checkpoints / "last"
    last.unlink()
    if content is not None:
        last.write_text(content)
    assert folder.resume() == (folder.checkpoints / "0000010", 10)
    (message,) = caplog.messages
    assert message == f"{last} does not name the newest whole checkpoint; going on from {last.parent}/0000010."
    assert last.read_text() == "0000010\n"


def test_a_run_goes_on_from_the_checkpoint_before_the_damaged_one(train, caplog):
    run = train("run", train_iter=3, save_checkpoint_steps=1)
    straight = shutil.copytree(run, run.with_name("straight"))
    truncated(run / "checkpoints" / "0000003" / "trainer.ckpt", 50)
    train("run", train_iter=3, resume=True)
    assert "0000003/trainer.ckpt is damaged; " in caplog.text
    assert_same(straight, run, 3)


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, where the user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False).returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_keeps_the_last_checkpoint(train, small_disk, capsys):
    run = small_disk / "run"
    train(save_path=run, train_iter=2, save_checkpoint_steps=1)
    before = {path.name: path.read_bytes() for path in (run / "checkpoints" / "0000002").iterdir()}
    filler = small_disk / "filler"
    free = os.statvfs(small_disk)
    filler.write_bytes(bytes(free.f_bavail * free.f_frsize - 12_000))
    with pytest.raises(SystemExit) as stop:
        train(save_path=run, train_iter=4, save_checkpoint_steps=1, sample_frequency_step=99, resume=True)
    assert stop.value.code == 2
    *_, line = capsys.readouterr().err.splitlines()
    checkpoints = run / "checkpoints"
    assert line == (
        f"error: checkpoint {checkpoints}/0000003 cannot be written: No space left on device; "
        f"checkpoint {checkpoints}/0000002 is kept"
    )
    assert {path.name: path.read_bytes() for path in (checkpoints / "0000002").iterdir()} == before
    assert sorted(path.name for path in checkpoints.iterdir()) == ["0000001", "0000002", "last"]
    filler.unlink()
    train(save_path=run, train_iter=4, resume=True)
    assert_same(train("straight", train_iter=4), run, 4)
