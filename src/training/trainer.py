"""The training loop, the same for every model."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import yaml
from mindspore import Tensor

from src.checkpoint import NetworkInfo, fill, read_network, save_network
from src.data.dataset import TrainingSamples, build_training_dataset, iterate
from src.data.images import check_headers, list_images, list_split, to_uint8
from src.data.masks import check_masks
from src.errors import InputError
from src.progress import Progress
from src.sheet import Row, picture_sheet
from src.training.curves import draw_curves
from src.training.model import AVERAGE, ModelTraining
from src.training.ranks import check_agreement, take_values_of_rank_0
from src.training.run_folder import RunFolder
from src.training.stop import StopRequest

STAGE = "stage"  # the entry of trainer.ckpt that says which stage its optimizers are of
LOSS_SCALE = "loss_scale"  # and those, by network, of float16's loss scale and the good steps it has had
SKIPPED = "skipped"  # and that which counts skipped iterations: of all, and of the last ones


def train(config, training: type[ModelTraining], rank: int = 0, world: int = 1) -> Path | None:
    """Run both stages as the options say, or up to a StopRequest. Raises InputError for what a user can mend.

    Rank 0 alone writes, and returns the last checkpoint.
    """
    total = config.train_iter + config.finetune_iter
    if total == 0:
        raise InputError("there is nothing to train: --train_iter and --finetune_iter are both 0")
    samples = training_samples(config, training.SEES_STRUCTURE)
    model = training(config)
    run = RunFolder(
        config.save_path,
        ("iteration", "stage", *model.LOSSES, "skipped_steps", "seconds_per_iteration"),
        config.keep_checkpoint_max,
    )
    done, state = 0, None
    if config.resume:
        check_unchanged(config, run.config, model.fixed)
        checkpoint, done = run.resume() if rank == 0 else run.newest()
        model.load(checkpoint)
        state = checkpoint
    else:
        if config.init_checkpoint:
            model.load(config.init_checkpoint)
        if rank == 0:
            run.start(config.overwrite)
    if world > 1:
        check_agreement(done)  # all have read what rank 0 now writes over
    if rank == 0:
        run.write_config(config.dump)
    if done >= total:
        print(f"{run.path} has its {total} iterations; more of them need a larger --train_iter or --finetune_iter")
        return checkpoint

    count = len(samples.image_paths)
    shard = f", batch {rank + 1} of every {world}" if world > 1 else ""
    print(f"Training {config.model} on {count} pictures, iterations {done + 1} to {total}{shard}", flush=True)
    with StopRequest(world) as stop, Progress(total, "Training", done) as progress:
        for stage, first, last in ((1, 0, config.train_iter), (2, config.train_iter, total)):
            if max(first, done) >= last or stop.made:
                continue
            if world > 1:
                take_values_of_rank_0(model.networks)
            model.start_stage(stage)
            if state:
                load_state(state, stage, model)
                state = None
            dataset = build_training_dataset(
                samples,
                done,
                last - done,
                config.batch_size * config.gradient_accumulation,
                rank,
                world,
                config.num_parallel_workers,
            )
            writes = run if rank == 0 else None
            done = _run_stage(config, writes, samples, model, iterate(dataset), progress, stop, stage, done, last)
    if rank > 0:
        return None
    draw_curves(run.metrics, run.path / "losses.png")
    if done < total:
        print(f"Stopped after iteration {done} of {total}, checkpoint {run.written[-1]}; --resume goes on", flush=True)
    else:
        print(f"Wrote {run.path}: losses.png, metrics.csv, samples/, checkpoint {run.written[-1]}", flush=True)
    return run.written[-1]


def _run_stage(
    config,
    run: RunFolder | None,
    samples: TrainingSamples,
    model: ModelTraining,
    batches: Iterator,
    progress: Progress,
    stop: StopRequest,
    stage: int,
    done: int,
    last: int,
) -> int:
    clock, counted, numbers = time.monotonic(), 0, {}
    for batch in stop.listen(batches):
        losses = model.step(batch)
        model.count_skipped()
        if model.skipped_in_a_row >= config.max_skipped_steps:
            kept = f"; {save_bad_batch(run.path, samples, batch)} shows the batch" if run else ""
            raise InputError(
                f"iteration {done + 1}: losses or gradients are not finite, and were not {config.max_skipped_steps} "
                f"times in a row{kept}. --resume with a lower --gen_lr_train or --gen_lr_finetune, or with "
                "--clip_grad_norm, may help"
            )
        done += 1
        counted += 1
        ends = stop.check() or done == last
        if run is None:
            progress.update()
            if ends:
                break
            continue
        logs = done % config.log_frequency_step == 0 or done == last
        saves = done % config.save_checkpoint_steps == 0 or ends
        if logs:
            values = [float(loss) if isinstance(loss, float) else float(loss.asnumpy()) for loss in losses]
            now = time.monotonic()
            run.add_row([done, stage, *(f"{v:.7g}" for v in values), model.skipped, f"{(now - clock) / counted:.4f}"])
            clock, counted = now, 0
            losses = zip(model.LOSSES, values, strict=True)
            numbers = {name: value for name, value in losses if not name.startswith("loss_")}  # the totals
        if saves and not finite_weights(model):
            raise InputError(
                f"iteration {done}: weights are not finite; checkpoints under {run.checkpoints} are from "
                "before. --resume with a lower --gen_lr_train or --gen_lr_finetune may help"
            )
        if done % config.sample_frequency_step == 0 or done == last:
            with np.errstate(invalid="ignore"):  # pictures of a skipped step
                rows = model.sample_rows()
            picture_sheet(model.SAMPLE_TITLES, rows).save(run.samples / f"{done:07d}.png")
        if saves:
            save_checkpoint(run, model, stage, done)
        progress.update(1, **numbers)
        if ends:
            break
    return done


def training_samples(config, with_structure: bool) -> TrainingSamples:
    """The pictures and masks of a run, every file's header read once so that a broken one stops it here."""
    images = list_split(config.data_root, config.anno_path, "train")
    check_headers(images, config.center_crop)
    masks = []
    if config.train_masks_root:
        masks = list_images(config.train_masks_root)
        check_masks(masks, config.mask_polarity)
    elif config.hole_min > config.hole_max:
        raise InputError(f"--hole_min {config.hole_min} is above --hole_max {config.hole_max}")
    return TrainingSamples(
        images,
        config.image_size,
        config.seed,
        mask_paths=masks,
        mask_polarity=config.mask_polarity,
        mask_pairing=config.mask_pairing,
        hole_min=config.hole_min,
        hole_max=config.hole_max,
        center_crop=config.center_crop,
        window_scale=config.window_scale,
        edge_mode=config.edge_mode if with_structure else None,
        sigma=config.sigma,
    )


def finite_weights(model: ModelTraining) -> bool:
    """A step can spoil the weights while its losses and gradients are finite; such weights are not kept."""
    networks = model.networks.values()
    return all(np.isfinite(p.asnumpy()).all() for network in networks for p in network.get_parameters())


def save_checkpoint(run: RunFolder, model: ModelTraining, stage: int, iteration: int) -> Path:
    """checkpoints/NNNNNNN with a file for each network and what else the training knows in trainer.ckpt."""

    def write(folder: Path) -> None:
        infos = model.infos(iteration)
        for name, network in model.networks.items():
            save_network(folder / f"{name}.ckpt", network, infos[name])
        if model.average is not None:
            name = next(iter(model.networks))
            values = dict(model.networks[name].parameters_and_names()) | model.average.named()
            save_network(folder / f"{name}{AVERAGE}.ckpt", values, infos[name])
        state = {
            STAGE: np.array([stage], np.int32),
            SKIPPED: np.array([model.skipped, model.skipped_in_a_row], np.int32),
        }
        for name, optimizer in model.optimizers.items():
            state |= {f"{name}.{key}": p for key, p in optimizer_state(optimizer).items()}
        for name, step in model.steps.items():
            if step.loss_scale is not None:
                scale = step.loss_scale
                state[f"{name}.{LOSS_SCALE}"] = np.array([scale.value, scale.good_steps], np.float32)
        save_network(folder / "trainer.ckpt", state, NetworkInfo(model.MODEL, "trainer", iteration=iteration))

    return run.save(iteration, write)


def optimizer_state(optimizer) -> dict:
    """The optimizer's own parameters by name: step count, rate, moments; not the weights it updates."""
    weights = {parameter.name for parameter in optimizer.parameters}
    return {name: p for name, p in optimizer.parameters_and_names() if name not in weights}


def load_state(checkpoint: Path, stage: int, model: ModelTraining) -> None:
    """What a checkpoint holds beside the networks. Optimizers only if they are of this stage; rates stay the options'.

    Raises InputError if the file is of other optimizers.
    """
    path = checkpoint / "trainer.ckpt"
    arrays, _ = read_network(path)
    model.skipped, model.skipped_in_a_row = map(int, arrays[SKIPPED])
    average = checkpoint / f"{next(iter(model.networks))}{AVERAGE}.ckpt"
    if model.average is not None and average.is_file():
        fill(model.average.named(), read_network(average)[0], average)
    if arrays[STAGE] != stage:
        return
    for name, optimizer in model.optimizers.items():
        prefix = f"{name}."
        own = {key[len(prefix) :]: array for key, array in arrays.items() if key.startswith(prefix)}
        state = optimizer_state(optimizer)
        fill({key: state[key] for key in state if not key.startswith("learning_rate")}, own, path)
        scale = model.steps[name].loss_scale
        if scale is not None and LOSS_SCALE in own:
            value, good_steps = own[LOSS_SCALE]
            scale.set(float(value), int(good_steps))


def save_bad_batch(folder: Path, samples: TrainingSamples, batch: tuple[Tensor, ...]) -> Path:
    """The batch as bad_batch.npz and, to look at, as bad_batch.png. Returns the picture."""
    arrays = dict(zip(samples.columns, (tensor.asnumpy() for tensor in batch), strict=True))
    np.savez(folder / "bad_batch.npz", **arrays)
    rows = []
    for pictures in zip(*arrays.values(), strict=True):
        signed = [p if len(p) == 3 else np.repeat(2 * p - 1, 3, axis=0) for p in map(np.nan_to_num, pictures)]
        rows.append(Row([to_uint8(picture) for picture in signed]))
    picture_sheet(samples.columns, rows).save(folder / "bad_batch.png")
    return folder / "bad_batch.png"


def check_unchanged(config, path: Path, fixed: Iterable[str]) -> None:
    """Raises InputError if a run is resumed with options under which it could not go on."""
    if not path.is_file():
        raise InputError(f"--resume: {path.parent} holds no run; start without --resume")
    try:
        before = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        before = None
    if not isinstance(before, dict):
        raise InputError(f"--resume: {path} is damaged; without it nothing says what the run was")
    for name in fixed:
        if before.get(name) != getattr(config, name):
            raise InputError(f"--resume: the run has {name} {before.get(name)}, not {getattr(config, name)}; keep it")
