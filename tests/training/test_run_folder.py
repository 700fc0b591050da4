"""What a run writes and, above all, what it leaves alone."""

import csv

import pytest
from PIL import Image

from model_utils.config import load_config
from src.errors import InputError
from src.training.run_folder import RunFolder
from tests.command_line import words
from tests.training.conftest import SMALL

TERMS = ("hole", "valid", "perceptual", "style", "adversarial", "intermediate")
COLUMNS = [
    *("iteration", "stage", *(f"loss_{term}" for term in TERMS)),
    *("generator_loss", "discriminator_loss", "skipped_steps", "seconds_per_iteration"),
]


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_one(folder) -> None:
    (folder / "generator.ckpt").write_text("weights")


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run", ("iteration", "loss"), keep=2)


def test_a_run_writes_these_files(train, images, tmp_path):
    run = train()
    assert [name for name in names(run) if name != "events"] == [
        "checkpoints",
        "config.yaml",
        "losses.png",
        "metrics.csv",
        "samples",
        "train.log",
    ]
    assert names(run / "checkpoints") == ["0000002", "last"]
    assert names(run / "checkpoints" / "0000002") == [
        "SHA256SUMS", "discriminator.ckpt", "generator.ckpt", "trainer.ckpt",
    ]  # fmt: skip
    assert (run / "checkpoints" / "last").read_text() == "0000002\n"
    assert names(run / "samples") == ["0000002.png"]
    with Image.open(run / "samples" / "0000002.png") as sheet:
        assert sheet.size == (4 * 132 + 4, 14 + 2 * 132)  # four columns, two images
    with open(run / "metrics.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == COLUMNS
    assert [row[:2] for row in rows] == [["1", "1"], ["2", "1"]]
    options = words(SMALL | {"data_root": images, "save_path": run})
    assert load_config(["--config_path", str(run / "config.yaml")]) == load_config(options)


def test_options_say_when_to_write(train):
    steps = {"log_frequency_step": 2, "sample_frequency_step": 3, "save_checkpoint_steps": 2, "keep_checkpoint_max": 2}
    run = train(train_iter=7, **steps)
    with open(run / "metrics.csv", newline="") as file:
        assert [row["iteration"] for row in csv.DictReader(file)] == ["2", "4", "6", "7"]
    assert names(run / "samples") == ["0000003.png", "0000006.png", "0000007.png"]
    assert names(run / "checkpoints") == ["0000006", "0000007", "last"]


def test_a_run_deletes_nothing_that_it_did_not_write(train, tmp_path):
    checkpoints = tmp_path / "run" / "checkpoints"
    kept = [checkpoints / "0000001" / "generator.ckpt", checkpoints / "mine.ckpt", tmp_path / "run" / "notes.txt"]
    kept += [checkpoints / "best" / "generator.ckpt", tmp_path / "run" / "samples" / "old.png"]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    often = {"keep_checkpoint_max": 1, "save_checkpoint_steps": 2}
    train(train_iter=4, overwrite=True, **often)
    assert names(checkpoints) == ["0000001", "0000004", "best", "last", "mine.ckpt"]
    train(train_iter=6, resume=True, **often | {"keep_checkpoint_max": 5})
    train(train_iter=2, overwrite=True, keep_checkpoint_max=5)
    assert all(path.read_text() == "mine" for path in kept)


def test_only_the_newest_checkpoints_stay(folder):
    folder.start(overwrite=False)
    for iteration in (5, 10, 15):
        folder.save(iteration, write_one)
    assert names(folder.checkpoints) == ["0000010", "0000015", "last"]


def test_resuming_counts_the_checkpoints_that_are_there(folder, tmp_path):
    folder.start(overwrite=False)
    for iteration in (5, 10):
        folder.save(iteration, write_one)
    later = RunFolder(folder.path, folder.columns, keep=2)
    assert later.resume() == (folder.checkpoints / "0000010", 10)
    later.save(15, write_one)
    assert names(folder.checkpoints) == ["0000010", "0000015", "last"]


def test_a_checkpoint_has_its_name_only_when_it_is_whole(folder):
    def fail(partial):
        write_one(partial)
        raise OSError("disk full")

    folder.start(overwrite=False)
    folder.save(5, write_one)
    with pytest.raises(InputError, match=r"0000010 cannot be written: disk full; checkpoint .*0000005 is kept"):
        folder.save(10, fail)
    assert names(folder.checkpoints) == ["0000005", "last"]
    assert folder.resume() == (folder.checkpoints / "0000005", 5)
    folder.save(10, write_one)
    assert names(folder.checkpoints) == ["0000005", "0000010", "last"]


def test_resuming_drops_rows_from_after_the_checkpoint(folder):
    folder.start(overwrite=False)
    for iteration in (1, 2, 3):
        folder.add_row([iteration, 0.5])
        if iteration == 2:
            folder.save(2, write_one)
    with open(folder.metrics, "a") as file:
        file.write("4")  # killed while writing
    folder.resume()
    assert folder.metrics.read_text().split() == ["iteration,loss", "1,0.5", "2,0.5"]


@pytest.mark.parametrize("last", [None, "", "0000009", "../elsewhere", "new"])
def test_resuming_needs_a_checkpoint(folder, last):
    folder.start(overwrite=False)
    if last is not None:
        (folder.checkpoints / "last").write_text(last)
    with pytest.raises(InputError, match=r"--resume: .*/checkpoints: there is no checkpoint; --overwrite starts anew"):
        folder.resume()


def test_a_run_stays_unless_overwritten(folder):
    folder.start(overwrite=False)
    folder.add_row([1, 0.5])
    folder.save(5, write_one)
    with pytest.raises(InputError, match="holds a run; --resume goes on with it, --overwrite starts anew over it"):
        folder.start(overwrite=False)
    assert folder.metrics.read_text().split() == ["iteration,loss", "1,0.5"]

    folder.start(overwrite=True)
    assert folder.metrics.read_text().split() == ["iteration,loss"]
    with pytest.raises(InputError, match="there is no checkpoint"):  # never on from the run that was overwritten
        folder.resume()
    assert names(folder.checkpoints / "0000005") == ["SHA256SUMS.earlier_run", "generator.ckpt"]
