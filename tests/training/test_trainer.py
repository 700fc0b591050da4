"""The loop: stages, resuming, starting weights, seeds."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image
from skimage import data

from src.checkpoint import read_network
from src.ctsdg.training import CTSDGTraining
from tests.command_line import call
from tests.training.conftest import SMALL, assert_same, rows, weights

STATISTICS = ("norm.moving_mean", "norm.moving_variance")


def refused(capsys, train, name: str = "run", **options) -> str:
    with pytest.raises(SystemExit) as stop:
        train(name, **options)
    assert stop.value.code == 2
    *_, line = capsys.readouterr().err.splitlines()
    return line.removeprefix("error: ")


def infos(run, iteration: int) -> dict:
    folder = run / "checkpoints" / f"{iteration:07d}"
    return {name: read_network(folder / f"{name}.ckpt")[1] for name in ("generator", "discriminator")}


def rates(run, iteration: int) -> list[float]:
    state = weights(run, iteration, "trainer")
    return [float(state[f"{name}.learning_rate"]) for name in ("generator", "discriminator")]


# Stages


def test_two_stages_one_after_the_other(train):
    run = train(train_iter=2, finetune_iter=2, save_checkpoint_steps=1)
    assert [(row["iteration"], row["stage"]) for row in rows(run)] == [("1", "1"), ("2", "1"), ("3", "2"), ("4", "2")]
    assert rates(run, 2) == pytest.approx([2e-4, 2e-5])
    assert rates(run, 4) == pytest.approx([5e-5, 5e-6])
    # Adam's first step is the rate, so stage 2 starts with fresh optimizers, and at its own rate.
    for first, rate in ((1, None), (3, 5e-5)):
        assert weights(run, first, "trainer")["generator.global_step"] == 1
        if rate:
            before, after = (weights(run, i)["conv.weight"] for i in (first - 1, first))
            assert np.median(np.abs(after - before)) == pytest.approx(rate, rel=0.01)

    stage1, stage2, end = (weights(run, i) for i in (1, 2, 4))
    for name in STATISTICS:
        assert np.all(stage1[name] != stage2[name])
        np.testing.assert_array_equal(stage2[name], end[name])
    for name in ("norm.gamma", "norm.beta"):
        assert np.all(stage2[name] != end[name])


def test_batches_that_batch_norms_saw(train):
    """The generator's one an iteration, none in stage 2; the discriminator's three."""
    run = train(train_iter=2, finetune_iter=1, save_checkpoint_steps=2)
    seen = {i: [info.batches_tracked for info in infos(run, i).values()] for i in (2, 3)}
    assert seen == {2: [2, 6], 3: [2, 9]}
    assert [info.iteration for info in infos(run, 3).values()] == [3, 3]


def test_no_fine_tuning(train):
    assert {row["stage"] for row in rows(train(train_iter=2, finetune_iter=0))} == {"1"}


def test_fine_tuning_alone_starts_from_a_checkpoint(train, tmp_path):
    first = train("first", train_iter=1)
    run = train(train_iter=0, finetune_iter=1, init_checkpoint=first / "checkpoints" / "last")
    assert [row["stage"] for row in rows(run)] == ["2"]
    assert rates(run, 1) == pytest.approx([5e-5, 5e-6])
    for name in STATISTICS:
        np.testing.assert_array_equal(weights(run, 1)[name], weights(first, 1)[name])


# Resuming


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param((2, 0), (4, 0), id="stage 1", marks=pytest.mark.slow),
        pytest.param((1, 0), (1, 1), id="at the border"),
        pytest.param((1, 1), (1, 2), id="inside stage 2"),
        pytest.param((1, 0), (2, 1), id="across the border"),
    ],
)
def test_resuming_is_as_if_never_stopped(train, before, after):
    whole = train("whole", train_iter=after[0], finetune_iter=after[1])
    train("parts", train_iter=before[0], finetune_iter=before[1])
    parts = train("parts", train_iter=after[0], finetune_iter=after[1], resume=True)
    assert_same(whole, parts, sum(after))


def test_resuming_in_another_stage_starts_its_optimizers_afresh(train):
    """Fewer iterations of stage 1 than are done: what follows is stage 2, for which stage 1's moments are not meant."""
    train(train_iter=3, save_checkpoint_steps=3)
    run = train(train_iter=1, finetune_iter=3, resume=True)
    assert [row["stage"] for row in rows(run)] == ["1", "1", "1", "2"]
    assert weights(run, 4, "trainer")["generator.global_step"] == 1
    assert weights(run, 4, "trainer")["stage"] == 2


def test_a_killed_run_goes_on_from_its_newest_checkpoint(train, monkeypatch, capsys):
    options = {"train_iter": 3, "finetune_iter": 1, "save_checkpoint_steps": 2}
    whole = train("whole", **options)
    step, calls = CTSDGTraining.step, []

    def killed(model, batch, iteration):
        calls.append(batch)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return step(model, batch, iteration)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(CTSDGTraining, "step", killed)
        train("parts", **options)
    assert stop.value.code == 130
    assert [row["iteration"] for row in rows(train("parts", **options, resume=True))] == ["1", "2", "3", "4"]
    assert_same(whole, whole.parent / "parts", 4)


def test_resuming_a_finished_run_changes_nothing(train):
    run = train()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "config.yaml"}
    train(resume=True)
    assert {path: path.read_bytes() for path in before} == before


def test_resuming_takes_a_new_rate(train):
    """What the message about losses that are not finite advises."""
    train(train_iter=1)
    assert rates(train(train_iter=2, gen_lr_train=1e-5, resume=True), 2) == pytest.approx([1e-5, 1e-6])


@pytest.mark.parametrize(
    ("option", "value"),
    [("batch_size", 1), ("seed", 1), ("width", 0.2), ("image_size", 256), ("edge_mode", "published")],
)
def test_resuming_keeps_what_cannot_change(train, capsys, option, value):
    train(train_iter=1)
    line = refused(capsys, train, train_iter=2, resume=True, **{option: value})
    assert line == f"--resume: the run has {option} {SMALL.get(option, 42)}, not {value}; keep it"


def test_resuming_where_nothing_is(train, capsys, tmp_path):
    assert refused(capsys, train, resume=True) == f"--resume: {tmp_path}/run holds no run; start without --resume"
    assert not (tmp_path / "run").exists()


def test_resuming_a_damaged_run(train, capsys):
    """Its only checkpoint, and what the run was. With more checkpoints, see test_faults.py."""
    run = train(train_iter=1)
    state = run / "checkpoints" / "0000001" / "trainer.ckpt"
    content = state.read_bytes()
    state.write_bytes(content[:-50])
    assert "no checkpoint is whole: " in (line := refused(capsys, train, resume=True))
    assert "trainer.ckpt is damaged" in line
    state.unlink()
    assert "trainer.ckpt is missing" in refused(capsys, train, resume=True)
    (run / "config.yaml").write_text("")
    assert "config.yaml is damaged" in refused(capsys, train, resume=True)
    assert [row["iteration"] for row in rows(run)] == ["1"]


def test_a_run_is_not_started_over_by_chance(train, capsys):
    run = train(train_iter=1)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    line = refused(capsys, train, train_iter=2)
    assert line == f"{run} holds a run; --resume goes on with it, --overwrite starts anew over it"
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before

    train(train_iter=2, seed=7, overwrite=True)
    assert_same(train("new", train_iter=2, seed=7), run, 2)


# Starting weights


def test_a_folder_starts_both_networks_and_a_file_its_own(train):
    first = train("first", train_iter=2) / "checkpoints" / "0000002"
    tiny_rate = {"train_iter": 1, "gen_lr_train": 1e-12, "seed": 9}
    fresh = train("fresh", **tiny_rate)
    both = train("both", **tiny_rate, init_checkpoint=first)
    one = train("one", **tiny_rate, init_checkpoint=first / "generator.ckpt")
    trained = {name: read_network(first / f"{name}.ckpt")[0]["conv.weight"] for name in ("generator", "discriminator")}

    def same(run, network, other):
        return np.allclose(weights(run, 1, network)["conv.weight"], other, rtol=0, atol=1e-8)

    for name in trained:
        assert same(both, name, trained[name])
    assert same(one, "generator", trained["generator"])
    assert same(one, "discriminator", weights(fresh, 1, "discriminator")["conv.weight"])
    assert not same(one, "discriminator", trained["discriminator"])

    seen = {run.name: [info.batches_tracked for info in infos(run, 1).values()] for run in (fresh, both, one)}
    assert seen == {"fresh": [1, 3], "both": [2 + 1, 6 + 3], "one": [2 + 1, 3]}


def test_starting_weights_of_another_kind(train, capsys, tmp_path):
    first = train("first", train_iter=1) / "checkpoints" / "0000001"
    assert "holds width 0.1, not 0.2" in refused(capsys, train, width=0.2, init_checkpoint=first)
    line = refused(capsys, train, align_corners=True, init_checkpoint=first)
    assert "holds align_corners False, not True" in line
    line = refused(capsys, train, init_checkpoint=first / "trainer.ckpt")
    assert line.endswith("name a checkpoint folder, or its generator.ckpt or discriminator.ckpt")
    assert "does not exist" in refused(capsys, train, init_checkpoint=first / "none.ckpt")
    (first / "discriminator.ckpt").unlink()
    assert "discriminator.ckpt does not exist" in refused(capsys, train, init_checkpoint=first)
    assert not (tmp_path / "run").exists()


# Seeds and data


def test_losses_follow_from_the_seed(train):
    first, again, other = train("a", seed=1), train("b", seed=1), train("c", seed=2)
    assert_same(first, again, 2)
    assert all(a["generator_loss"] != b["generator_loss"] for a, b in zip(rows(first), rows(other), strict=True))


def test_the_number_of_workers_changes_nothing(train):
    assert_same(train("one", num_parallel_workers=1), train("two", num_parallel_workers=2), 2)


def test_a_batch_may_be_larger_than_the_folder(train, tmp_path):
    (tmp_path / "one").mkdir()
    Image.new("RGB", (150, 130), "red").save(tmp_path / "one" / "a.png")
    assert len(rows(train(data_root=tmp_path / "one", batch_size=3))) == 2
    assert len(rows(train("file", data_root=tmp_path / "one" / "a.png"))) == 2


def test_masks_from_files(train, tmp_path):
    """All hole or all known, index pairing: the loss over what is not there is 0."""
    (tmp_path / "masks").mkdir()
    Image.new("L", (64, 64), 255).save(tmp_path / "masks" / "a.png")
    masks = {"train_masks_root": tmp_path / "masks", "mask_pairing": "index", "train_iter": 1}
    white, black = rows(train("white", **masks)), rows(train("black", **masks, mask_polarity="black_hole"))
    assert float(white[0]["loss_valid"]) == 0 < float(white[0]["loss_hole"])
    assert float(black[0]["loss_hole"]) == 0 < float(black[0]["loss_valid"])


# What goes wrong on the way


def test_an_absurd_rate_stops_the_run(train, capsys, tmp_path):
    line = refused(capsys, train, train_iter=9, max_skipped_steps=2, gen_lr_train=1e38)
    assert line.startswith("iteration 3: losses or gradients are not finite, and were not 2 times in a row; ")
    assert not list((tmp_path / "run" / "checkpoints").glob("0*"))


def test_weights_that_are_not_finite_are_not_saved(train, capsys, monkeypatch, tmp_path):
    """A step can spoil the weights while the losses, taken before it, are still finite."""
    step = CTSDGTraining.step

    def spoilt(model, batch, iteration):
        losses = step(model, batch, iteration)
        bias = model.networks["generator"].norm.beta
        bias.set_data(bias * float("inf"))
        return losses

    monkeypatch.setattr(CTSDGTraining, "step", spoilt)
    assert "weights are not finite" in refused(capsys, train, train_iter=1)
    assert not list((tmp_path / "run" / "checkpoints").glob("0*"))


@pytest.mark.slow
def test_ctsdg_compiled_resumes_as_if_never_stopped(images, tmp_path):
    """In stage 1 and inside stage 2, whose graph is then the first that a process compiles. Processes of their own."""
    options = SMALL | {"data_root": images, "train_iter": 2, "finetune_iter": 2, "mode": "graph"}
    options |= {"save_checkpoint_steps": 1}
    whole = tmp_path / "whole"
    call("train.py", **options, save_path=whole)
    for stopped in (1, 3):
        part = tmp_path / f"stopped after {stopped}"
        shutil.copytree(whole, part)
        for iteration in range(stopped + 1, 5):
            shutil.rmtree(part / "checkpoints" / f"{iteration:07d}")
        call("train.py", **options, save_path=part, resume=True)
        assert_same(whole, part, 4)


@pytest.mark.slow
def test_two_hundred_iterations_give_the_same_curve_twice(tmp_path):
    """CTSDG itself, compiled, in both stages, on random windows, with the recipe of the weights that ship."""
    (tmp_path / "photos").mkdir()
    for i, photo in enumerate((data.astronaut(), data.coffee(), data.chelsea())):
        Image.fromarray(photo).save(tmp_path / "photos" / f"{i}.png")
    options = SMALL | {"data_root": tmp_path / "photos", "width": 0.03, "train_iter": 150, "finetune_iter": 50}
    options |= {"window_scale": 2.0, "seamless": True, "ema_decay": 0.99, "mode": "graph", "adversarial_loss_w": 0}
    for name in ("first", "second"):
        call("train.py", **options, save_path=tmp_path / name)
    assert_same(tmp_path / "first", tmp_path / "second", 200)
    losses = [float(row["generator_loss"]) for row in rows(tmp_path / "first")]
    assert len(losses) == len(set(losses)) == 200
    assert np.mean(losses[-50:]) < np.mean(losses[:50])


# What a run tells of itself


def test_a_log_with_the_time_of_an_iteration_outlives_a_resume(train):
    train(train_iter=1)
    run = train(train_iter=3, log_frequency_step=2, resume=True)
    lines = [line[20:] for line in (run / "train.log").read_text().splitlines()]
    assert lines[0] == "Training ctsdg on 3 images, iterations 1 to 1"
    found = [line for line in lines if line.startswith("iteration ")]
    assert [line.split(",")[0] for line in found] == ["iteration 1/1", "iteration 2/3", "iteration 3/3"]
    for line, row in zip(found, read_csv(run), strict=True):
        shown = float(line.rpartition("ms_per_iteration ")[2])
        assert shown == pytest.approx(1000 * float(row["seconds_per_iteration"]), rel=1e-3, abs=0.1)


def read_csv(run) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_new_run_over_an_old_one_begins_a_new_log(train):
    train(train_iter=2)
    run = train(train_iter=1, overwrite=True)
    assert "iteration 2" not in (run / "train.log").read_text()


@pytest.mark.parametrize("mode", ["graph", "pynative"])
def test_the_profiler_records_iterations_after_the_first(mode, images, tmp_path):
    given = {"data_root": images, "save_path": tmp_path / "run", "mode": mode, "train_iter": 5, "profile": 2}
    call("tests/training/tiny_train.py", **SMALL | given)
    (profile,) = (tmp_path / "run" / "profile").iterdir()
    assert (profile / "ASCEND_PROFILER_OUTPUT" / "trace_view.json").is_file()  # so on every device
    with open(profile / "FRAMEWORK" / "cpu_op_type_info_0.csv", newline="") as file:
        calls = {row["op_type"]: int(row["type_occurrences"]) for row in csv.DictReader(file)}
    assert calls["Adam"] == 2 * len(learnt(tmp_path / "run"))


def learnt(run) -> list[str]:
    """What the optimizers of a run update, by the names of its moments."""
    return [name for name in weights(run, 5, "trainer") if ".moment1." in name]
