"""What the trainer asks of a model: its networks, its stages, one iteration of each."""

from pathlib import Path

from mindspore import Tensor, nn

from src.checkpoint import NetworkInfo, load_network, network_file, settings
from src.errors import InputError
from src.layers.precision import float16_convolutions
from src.sheet import Row
from src.training.train_step import Average, LossScale, TrainOneStep

AVERAGE = "_ema"  # after a network's name: the file of its average


class ModelTraining:
    """The base of every model's training. `networks` are what a checkpoint holds, `optimizers` are set by start_stage.

    Making one checks the options that concern it. Raises InputError.
    """

    MODEL: str
    LOSSES: tuple[str, ...]  # columns of metrics.csv: a loss each, the totals last
    SAMPLE_TITLES: tuple[str, ...]
    STAGES = 1
    SEES_STRUCTURE = False  # does a batch hold edges and gray beside pictures and masks?

    networks: dict[str, nn.Cell]  # the first is that which inpaints, whose average may be kept
    optimizers: dict[str, nn.Optimizer]
    steps: dict[str, TrainOneStep]  # by the network that they train

    def __init__(self, config) -> None:
        self.config = config
        self.batches_tracked: dict[str, int] = {}  # by network, where it has batch norms that count
        self.average: Average | None = None
        self.skipped = self.skipped_in_a_row = 0  # iterations of which a step was
        if self.STAGES == 1 and config.finetune_iter:
            raise InputError(f"--finetune_iter {config.finetune_iter}: {self.MODEL} trains in one stage; leave it out")

    @property
    def fixed(self) -> tuple[str, ...]:
        """Options under which alone a run can go on: its weights or the order of its data would not fit others."""
        return ("model", "seed", "batch_size", "gradient_accumulation", "mask_pairing", *settings(self.MODEL))

    def load(self, checkpoint: str | Path) -> None:
        """Start from a checkpoint folder, which must hold every network, or from one network's file."""
        path = Path(checkpoint)
        single = path.stem.removesuffix(AVERAGE) if path.suffix == ".ckpt" and path.is_file() else None
        if single not in (None, *self.networks):
            files = " or ".join(f"{name}.ckpt" for name in self.networks)
            raise InputError(f"{path}: name a checkpoint folder, or its {files}")
        for name, network in self.networks.items():
            if single in (None, name):
                info = load_network(network_file(path, name), network, self.infos(0)[name])
                self.batches_tracked[name] = info.batches_tracked

    def infos(self, iteration: int) -> dict[str, NetworkInfo]:
        """What the files of a checkpoint say, by network."""
        options = {name: getattr(self.config, name) for name in settings(self.MODEL)}
        return {
            name: NetworkInfo(
                self.MODEL, name, iteration=iteration, batches_tracked=self.batches_tracked.get(name, 0), **options
            )
            for name in self.networks
        }

    def start_stage(self, stage: int) -> None:
        """Fresh optimizers at the rate of stage 1, 2, …, and the steps that use them."""
        raise NotImplementedError

    def start_steps(self, losses: dict[str, tuple[nn.Cell, bool]]) -> None:
        """The steps of `optimizers`, given the loss of each network, and whether it returns more than the loss."""
        c, (averaged, *_) = self.config, self.networks
        if c.ema_decay and self.average is None:
            self.average = Average(self.networks[averaged], c.ema_decay)
        half = c.amp_level == "O2"
        if half:
            for network in self.networks.values():
                float16_convolutions(network)
        self.steps = {
            name: TrainOneStep(
                loss,
                self.optimizers[name],
                has_aux,
                c.gradient_accumulation,
                c.clip_grad_norm,
                self.average if name == averaged else None,
                LossScale() if half else None,
            ).set_train()
            for name, (loss, has_aux) in losses.items()
        }

    def count_skipped(self) -> None:
        """Call it after each iteration."""
        skipped = any(step.skipped for step in self.steps.values())
        hopeless = any(step.hopeless for step in self.steps.values())
        self.skipped += skipped
        # A step that a smaller loss scale may mend neither counts as bad nor as good.
        self.skipped_in_a_row = self.skipped_in_a_row + hopeless if skipped else 0

    def tracked(self, step: str) -> int:
        """Batches that the batch norms of a network saw, and kept, each time this step ran it forward."""
        return 0 if self.steps[step].skipped else self.config.gradient_accumulation

    def step(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """One iteration. Losses as in LOSSES."""
        raise NotImplementedError

    def sample_rows(self, count: int = 4) -> list[Row]:
        """The first pictures of the last iteration, a column for each of SAMPLE_TITLES."""
        raise NotImplementedError


def load_vgg(
    config, network: nn.Cell, info: NetworkInfo, losses: tuple[str, ...], origin: str = "torchvision's"
) -> nn.Cell | None:
    """The VGG that losses look through, filled; None where all of their weights, the options `losses`, are 0.

    Raises InputError where the file is needed but not given, or holds another network than `info`.
    """
    if not any(getattr(config, name) for name in losses):
        return None
    if not config.pretrained_vgg:
        raise InputError(
            f"the losses on VGG features need --pretrained_vgg FILE.ckpt (convert.py makes it from {origin} "
            f"{info.model.upper()}); {' '.join(f'--{name} 0' for name in losses)} trains without them"
        )
    load_network(network_file(config.pretrained_vgg, info.network), network, info)
    return network
