"""Run folders of earlier versions are resumed. tests/fixtures/README.md says how they were made."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from src.checkpoint import read_network, save_network
from tests.training.conftest import rows, weights
from tests.training.test_dgts import DGTS, UPSAMPLER
from tests.training.test_dgts import train as train_dgts  # noqa: F401

RUNS = Path(__file__).parents[1] / "fixtures" / "runs"
SAVED = {"save_checkpoint_steps": 1, "resume": True}
STAGE_1 = {"batch_size": 1, "gradient_accumulation": 2, "amp_level": "O2", "ema_decay": 0.9, "clip_grad_norm": 1}


@pytest.fixture
def earlier(tmp_path):
    """earlier("name"): a copy of that run without its last checkpoint, the third."""

    def earlier(name: str) -> Path:
        run = shutil.copytree(RUNS / name, tmp_path / name)
        shutil.rmtree(run / "checkpoints" / "0000003")
        (run / "checkpoints" / "last").write_text("0000002\n")
        return run

    return earlier


def assert_same_end(run: Path, name: str) -> None:
    """The third checkpoint is what the earlier version wrote: entries, and numbers up to another CPU's rounding."""
    folder = RUNS / name / "checkpoints" / "0000003"
    assert {path.name for path in folder.iterdir()} == {p.name for p in (run / "checkpoints" / "0000003").iterdir()}
    for path in folder.glob("*.ckpt"):
        theirs, info, _ = read_network(path)
        ours, our_info, _ = read_network(run / "checkpoints" / "0000003" / path.name)
        assert our_info == info
        assert ours.keys() == theirs.keys()
        for entry, array in theirs.items():
            assert ours[entry].dtype == array.dtype
            np.testing.assert_allclose(ours[entry], array, rtol=1e-4, atol=1e-7, err_msg=f"{path.name} {entry}")
    for row, their_row in zip(rows(run), rows(RUNS / name), strict=True):
        for column, value in their_row.items():
            np.testing.assert_allclose(float(row[column]), float(value), rtol=1e-4, err_msg=column)


def test_ctsdg_in_stage_1_with_loss_scales_an_average_and_a_skipped_step(train, earlier):
    earlier("ctsdg_stage_1")
    assert_same_end(train("ctsdg_stage_1", **SAVED, **STAGE_1, train_iter=3), "ctsdg_stage_1")


def test_ctsdg_in_stage_2(train, earlier):
    earlier("ctsdg_stage_2")
    assert_same_end(train("ctsdg_stage_2", **SAVED, train_iter=1, finetune_iter=2), "ctsdg_stage_2")


@pytest.mark.parametrize("options", [DGTS, UPSAMPLER], ids=["dgts", "upsampler"])
def test_dgts_and_its_upsampler(train_dgts, earlier, options):  # noqa: F811
    name = options["model"]
    earlier(name)
    assert_same_end(train_dgts(name, **SAVED, **options, train_iter=3), name)


def without(path: Path, entry: str) -> None:
    """Take an entry out of a checkpoint's trainer.ckpt."""
    arrays, info, _ = read_network(path / "trainer.ckpt")
    del arrays[entry]
    save_network(path / "trainer.ckpt", arrays, info)
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(path.glob("*.ckpt"))]
    (path / "SHA256SUMS").write_text("".join(sums))


def test_an_average_whose_updates_were_not_counted(train, earlier):
    """The first layout with an average: each iteration is taken for an update."""
    run = earlier("ctsdg_stage_1")
    without(run / "checkpoints" / "0000002", "average_updates")
    before = weights(run, 2, "generator_ema")["conv.weight"]
    train("ctsdg_stage_1", **SAVED, **STAGE_1, train_iter=3)
    assert weights(run, 3, "trainer")["average_updates"] == 3
    share = 9 / (2 + 10)
    expected = before + share * (weights(run, 3)["conv.weight"] - before)
    np.testing.assert_allclose(weights(run, 3, "generator_ema")["conv.weight"], expected, atol=1e-7)


def test_a_run_in_float32_goes_on_in_float16_and_with_an_average(train, earlier):
    """The layout without both, which then start as they do in a new run."""
    run = earlier("ctsdg_stage_2")
    options = {"amp_level": "O2", "ema_decay": 0.9}
    train("ctsdg_stage_2", **SAVED, **options, train_iter=1, finetune_iter=2)
    state = weights(run, 3, "trainer")
    assert [tuple(state[f"{name}.loss_scale"]) for name in ("generator", "discriminator")] == [(2.0**16, 1)] * 2
    assert state["average_updates"] == 1
    assert state["generator.global_step"] == 2


def test_optimizers_have_to_be_there(train, earlier, capsys):
    run = earlier("ctsdg_stage_2")
    without(run / "checkpoints" / "0000002", "discriminator.moment2.discriminator.norm.beta")
    with pytest.raises(SystemExit):
        train("ctsdg_stage_2", **SAVED, train_iter=1, finetune_iter=2)
    *_, line = capsys.readouterr().err.splitlines()
    assert "trainer.ckpt does not fit: 1 parameters differ or are missing" in line
