"""The training loop, the same for every model."""

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import yaml
from mindspore import Tensor

from src.checkpoint import fill, read_network, save_network
from src.data.dataset import build_training_dataset, iterate
from src.data.images import to_uint8
from src.data.samples import TrainingSamples, training_samples
from src.drawing.curves import draw_curves
from src.drawing.sheet import Row, draw_sheet
from src.errors import InputError
from src.models import get_model
from src.network_info import NetworkInfo
from src.progress import Progress
from src.training.model_training import AVERAGE, ModelTraining
from src.training.profiling import Profiler
from src.training.ranks import check_agreement, take_values_of_rank_0
from src.training.run_folder import RunFolder
from src.training.stop import StopRequest

STAGE = "stage"  # the entry of trainer.ckpt that says which stage its optimizers are of
LOSS_SCALE = "loss_scale"  # and those, by network, of float16's loss scale and the good steps it has had
UPDATES = "average_updates"  # that which says how often the average has followed
SKIPPED = "skipped"  # and that which counts skipped iterations: of all, and of the last ones


class Trainer:
    """One run, as the options say. Rank 0 alone writes. Raises InputError for what a user can mend."""

    def __init__(self, config, training: type[ModelTraining], rank: int = 0, world: int = 1) -> None:
        self.config, self.rank, self.world = config, rank, world
        self.total = config.train_iter + config.finetune_iter
        if self.total == 0:
            raise InputError("there is nothing to train: --train_iter and --finetune_iter are both 0")
        with_structure = "edge_mode" in get_model(training.MODEL).settings
        self.samples = training_samples(config, with_structure)
        self.model = training(config)
        columns = ("iteration", "stage", *self.model.LOSSES, "skipped_steps", "seconds_per_iteration")
        self.run = RunFolder(config.save_path, columns, config.keep_checkpoint_max)
        self.writes = rank == 0
        self.profiled = config.profile if self.writes else 0  # iterations
        self.done = 0  # iterations
        self.clock, self.logged = time.monotonic(), 0  # time and iteration of the last row

    def train(self) -> Path | None:
        """Both stages, or up to a StopRequest -> the last checkpoint; None on ranks that do not write."""
        checkpoint = self.start()
        if self.done >= self.total:
            self.say(
                f"{self.run.path} has its {self.total} iterations; more need a larger --train_iter or --finetune_iter"
            )
            return checkpoint
        count = len(self.samples.image_paths)
        shard = f", batch {self.rank + 1} of every {self.world}" if self.world > 1 else ""
        self.say(f"Training {self.config.model} on {count} pictures, iterations {self.done + 1} to {self.total}{shard}")
        with (
            StopRequest(self.world) as stop,
            Progress(self.total, "Training", self.done) as progress,
            Profiler(self.run.path / "profile", self.config.device_target, self.profiled) as profiler,
        ):
            for stage, last in ((1, self.config.train_iter), (2, self.total)):
                if self.done < last and not stop.made:
                    self.start_stage(stage, checkpoint)
                    checkpoint = None
                    self.train_stage(stage, last, stop, progress, profiler)
        if not self.writes:
            return None
        draw_curves(self.run.metrics, self.run.path / "losses.png")
        newest = self.run.written[-1]
        if self.done < self.total:
            self.say(f"Stopped after iteration {self.done} of {self.total}, checkpoint {newest}; --resume goes on")
        else:
            self.say(f"Wrote {self.run.path}: losses.png, metrics.csv, samples/, checkpoint {newest}")
        return newest

    def say(self, line: str) -> None:
        print(line, flush=True)
        if self.writes:
            self.run.note(line)

    def start(self) -> Path | None:
        """Load what the options name, make the run's folder -> the checkpoint that a resumed run goes on from."""
        config, checkpoint = self.config, None
        if config.resume:
            check_unchanged(config, self.run.config, self.model.fixed)
            checkpoint, self.done = self.run.resume() if self.writes else self.run.newest()
            self.model.load(checkpoint)
        else:
            if config.init_checkpoint:
                self.model.load(config.init_checkpoint)
            if self.writes:
                self.run.start(config.overwrite)
        if self.world > 1:
            check_agreement(self.done)  # all have read what rank 0 now writes over
        if self.writes:
            self.run.write_config(config.dump)
        return checkpoint

    def start_stage(self, stage: int, checkpoint: Path | None) -> None:
        """Fresh optimizers, with what the checkpoint knows of them."""
        if self.world > 1:
            take_values_of_rank_0(self.model.networks)
        self.model.start_stage(stage)
        if checkpoint:
            load_state(checkpoint, stage, self.model)

    def train_stage(self, stage: int, last: int, stop: StopRequest, progress: Progress, profiler: Profiler) -> None:
        """Iterations up to `last`."""
        config = self.config
        dataset = build_training_dataset(
            self.samples,
            self.done,
            last - self.done,
            config.batch_size * config.gradient_accumulation,
            self.rank,
            self.world,
            config.num_parallel_workers,
        )
        self.clock, self.logged, totals = time.monotonic(), self.done, {}
        for batch in stop.listen(iterate(dataset)):
            losses = self.model.step(batch, self.done)
            self.done += 1
            profiler.step()
            is_last = self.done == last
            ends = stop.check() or is_last
            if self.done % config.log_frequency_step == 0 or is_last:
                totals = self.log(stage, losses, batch)
            if self.writes and (self.done % config.sample_frequency_step == 0 or is_last):
                self.write_sample()
            if self.writes and (self.done % config.save_checkpoint_steps == 0 or ends):
                self.save(stage)
            progress.update(1, **totals)
            if ends:
                break

    def log(self, stage: int, losses: tuple, batch: tuple[Tensor, ...]) -> dict[str, float]:
        """A row of metrics.csv -> totals and time. The only place where the loop reads from the device in each row."""
        skipped, in_a_row = self.model.skips.read()
        if in_a_row >= self.config.max_skipped_steps:
            kept = f"; {save_bad_batch(self.run.path, self.samples, batch)} shows the batch" if self.writes else ""
            raise InputError(
                f"iteration {self.done}: losses or gradients are not finite, and were not {in_a_row} times in a "
                f"row{kept}. --resume with a lower --gen_lr_train or --gen_lr_finetune, or with --clip_grad_norm, may "
                "help"
            )
        values = [float(loss.asnumpy()) if isinstance(loss, Tensor) else float(loss) for loss in losses]
        now = time.monotonic()
        seconds = (now - self.clock) / (self.done - self.logged)
        self.clock, self.logged = now, self.done
        if self.writes:
            self.run.add_row([self.done, stage, *(f"{v:.7g}" for v in values), skipped, f"{seconds:.4f}"])
        named = zip(self.model.LOSSES, values, strict=True)
        totals = {name: value for name, value in named if not name.startswith("loss_")}
        totals["ms_per_iteration"] = 1000 * seconds
        if self.writes:
            numbers = ", ".join(f"{name} {value:.4g}" for name, value in totals.items())
            self.run.note(f"iteration {self.done}/{self.total}, stage {stage}, {numbers}")
        return totals

    def write_sample(self) -> None:
        with np.errstate(invalid="ignore"):  # pictures of a skipped step
            rows = self.model.sample_rows()
        draw_sheet(self.model.SAMPLE_TITLES, rows).save(self.run.samples / f"{self.done:07d}.png")

    def save(self, stage: int) -> None:
        if not finite_weights(self.model):
            raise InputError(
                f"iteration {self.done}: weights are not finite; checkpoints under {self.run.checkpoints} are from "
                "before. --resume with a lower --gen_lr_train or --gen_lr_finetune may help"
            )
        save_checkpoint(self.run, self.model, stage, self.done)


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
            SKIPPED: np.array(model.skips.read(), np.int32),
        }
        if model.average is not None:
            state[UPDATES] = np.array(model.average.read(), np.int32)
        for name, optimizer in model.optimizers.items():
            state |= {f"{name}.{key}": p for key, p in optimizer_state(optimizer).items()}
        for name, scale in model.loss_scales.items():
            state[f"{name}.{LOSS_SCALE}"] = np.array(scale.read(), np.float32)
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
    arrays, info, _ = read_network(path)
    model.skips.set(*map(int, arrays[SKIPPED]))
    average = checkpoint / f"{next(iter(model.networks))}{AVERAGE}.ckpt"
    if model.average is not None and average.is_file():
        fill(model.average.named(), read_network(average)[0], average)
        model.average.set(int(arrays.get(UPDATES, info.iteration)))  # checkpoints of earlier versions do not say
    if arrays[STAGE] != stage:
        return
    for name, optimizer in model.optimizers.items():
        prefix = f"{name}."
        own = {key[len(prefix) :]: array for key, array in arrays.items() if key.startswith(prefix)}
        state = optimizer_state(optimizer)
        fill({key: state[key] for key in state if not key.startswith("learning_rate")}, own, path)
        if name in model.loss_scales and LOSS_SCALE in own:
            value, good_steps = own[LOSS_SCALE]
            model.loss_scales[name].set(float(value), int(good_steps))


def save_bad_batch(folder: Path, samples: TrainingSamples, batch: tuple[Tensor, ...]) -> Path:
    """The batch as bad_batch.npz and, to look at, as bad_batch.png. Returns the picture."""
    arrays = dict(zip(samples.columns, (tensor.asnumpy() for tensor in batch), strict=True))
    np.savez(folder / "bad_batch.npz", **arrays)
    rows = []
    for pictures in zip(*arrays.values(), strict=True):
        signed = [p if len(p) == 3 else np.repeat(2 * p - 1, 3, axis=0) for p in map(np.nan_to_num, pictures)]
        rows.append(Row([to_uint8(picture) for picture in signed]))
    draw_sheet(samples.columns, rows).save(folder / "bad_batch.png")
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
