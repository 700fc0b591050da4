"""The training loop, the same for every model."""

import time
from pathlib import Path

import numpy as np
from mindspore import Tensor

from ..checkpoint import fill, read_network, save_network
from ..data.dataset import build_training_dataset, iterate
from ..data.samples import training_samples
from ..drawing.curves import draw_curves
from ..drawing.sheet import draw_sheet
from ..errors import InputError
from ..models import get_model
from ..network_info import NetworkInfo
from ..progress import Progress
from .bad_batch import save_bad_batch
from .model_training import AVERAGE, ModelTraining
from .profiling import Profiler
from .ranks import check_agreement, checked_by_rank_0, take_values_of_rank_0
from .run_folder import RunFolder
from .stop import StopRequest

STAGE = "stage"  # the entry of trainer.ckpt that says which stage its optimizers are of; the others are parameters


class Trainer:
    """One run, as the options say. Rank 0 alone writes. Raises InputError for what a user can mend."""

    def __init__(self, config, training: type[ModelTraining], rank: int = 0, world: int = 1) -> None:
        self.config, self.rank, self.world = config, rank, world
        self.total = config.train_iter + config.finetune_iter
        if self.total == 0:
            raise InputError("there is nothing to train: --train_iter and --finetune_iter are both 0")
        with_structure = "edge_mode" in get_model(training.MODEL).settings
        self.samples = training_samples(config, with_structure)
        if world == 1:
            self.samples.check_files()
        else:  # millions of headers take minutes, and are the same for all
            checked_by_rank_0(self.samples.check_files, rank)
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
            print(
                f"{self.run.path} has its {self.total} iterations; more need a larger --train_iter or --finetune_iter"
            )
            return checkpoint
        count = len(self.samples.image_paths)
        shard = f", batch {self.rank + 1} of every {self.world}" if self.world > 1 else ""
        self.say(f"Training {self.config.model} on {count} images, iterations {self.done + 1} to {self.total}{shard}")
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
            self.run.check_unchanged({name: getattr(config, name) for name in self.model.fixed})
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
        skipped, in_a_row = self.model.skips.counts.asnumpy()
        if in_a_row >= self.config.max_skipped_steps:
            kept = ""
            if self.writes:
                kept = f"; {save_bad_batch(self.run.path, self.samples.columns, batch)} shows the batch"
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
        with np.errstate(invalid="ignore"):  # images of a skipped step
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
    """checkpoints/NNNNNNN with a file for each network, and all else that the training goes on from in trainer.ckpt."""

    def write(folder: Path) -> None:
        infos = model.infos(iteration)
        for name, parameters in model.files().items():
            save_network(folder / f"{name}.ckpt", parameters, infos[name.removesuffix(AVERAGE)])
        state = {STAGE: np.array([stage], np.int32)} | model.state()
        save_network(folder / "trainer.ckpt", state, NetworkInfo(model.MODEL, "trainer"))

    return run.save(iteration, write)


def load_state(checkpoint: Path, stage: int, model: ModelTraining) -> None:
    """Set what a checkpoint holds beside the networks; what it does not hold starts anew.

    Optimizers must be there. They start anew only in another stage, and their rates are always those of the options.
    Raises InputError if the file is of other optimizers.
    """
    path = checkpoint / "trainer.ckpt"
    arrays = read_network(path).arrays
    average = checkpoint / f"{model.averaged}{AVERAGE}.ckpt"
    if model.average is not None and average.is_file():
        kept = read_network(average)
        fill(model.average.named(), kept.arrays, average)
        # Checkpoints of earlier versions do not count the updates: one in each iteration.
        arrays.setdefault(model.average.updates.name, np.array(kept.info.iteration, np.int32))
    state = model.state()
    of_optimizers = {p.name for optimizer in model.optimizers.values() for p in optimizer.get_parameters()}
    found = {name: p for name, p in state.items() if name in arrays and name not in of_optimizers}
    if arrays[STAGE] == stage:
        found |= {name: p for name, p in state.items() if name in of_optimizers and ".learning_rate" not in name}
    fill(found, arrays, path)
