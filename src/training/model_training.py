"""What the training loop asks of a model: its networks, its stages, one iteration of each."""

from pathlib import Path

import mindspore as ms
from mindspore import Parameter, Tensor, nn

from ..checkpoint import load_network
from ..drawing.sheet import Row
from ..errors import InputError
from ..layers.precision import DTYPES, convolutions_in
from ..models import get_model
from ..network_info import NetworkInfo
from .average import Average
from .counters import BatchCount, SkipCount
from .loss_scale import LossScale
from .train_step import TrainOneStepCell

AVERAGE = "_ema"  # after a network's name: the file of its average


class ModelTraining:
    """The base of every model's training. `networks` are what a checkpoint holds; start_stage sets the rest.

    Making one checks the options that concern it. Raises InputError. Subclasses take their networks and their VGG from
    make_networks and load_vgg, so that whoever trains others overrides those.
    """

    MODEL: str
    LOSSES: tuple[str, ...]  # columns of metrics.csv: a loss each, the totals last
    SAMPLE_TITLES: tuple[str, ...]
    STAGES = 1

    networks: dict[str, nn.Cell]  # the first is that which inpaints
    optimizers: dict[str, nn.Optimizer]  # by the network that they train
    loss_scales: dict[str, LossScale]  # the same, where convolutions compute in float16
    train_step: TrainOneStepCell

    def __init__(self, config) -> None:
        self.config = config
        self.batches_tracked: dict[str, BatchCount] = {}  # by network, where it has batch norms that learn
        self.average: Average | None = None
        self.loss_scales = {}
        self.skips = SkipCount()
        if self.STAGES == 1 and config.finetune_iter:
            raise InputError(f"--finetune_iter {config.finetune_iter}: {self.MODEL} trains in one stage; leave it out")
        if config.amp_dtype == "bfloat16":
            if config.amp_level != "O2":
                raise InputError("--amp_dtype bfloat16: it is what --amp_level O2 computes in; give that too")
            if config.device_target == "CPU":
                raise InputError("--amp_dtype bfloat16: MindSpore's CPU back end has no such convolution; leave it out")

    def make_networks(self) -> dict[str, nn.Cell]:
        """Networks with what training starts from, in the order of a checkpoint's files."""
        raise NotImplementedError

    def load_vgg(
        self, network: nn.Cell, info: NetworkInfo, losses: tuple[str, ...], origin: str = "torchvision's"
    ) -> nn.Cell | None:
        """The VGG that losses look through, filled; None where all of their weights, the options `losses`, are 0.

        Raises InputError where the file is needed but not given, or holds another network than `info`.
        """
        if not any(getattr(self.config, name) for name in losses):
            return None
        if not self.config.pretrained_vgg:
            raise InputError(
                f"the losses on VGG features need --pretrained_vgg FILE.ckpt (convert.py makes it from {origin} "
                f"{info.model.upper()}); {' '.join(f'--{name} 0' for name in losses)} trains without them"
            )
        load_network(self.config.pretrained_vgg, network, info)
        return network

    @property
    def fixed(self) -> tuple[str, ...]:
        """Options under which alone a run can go on: its weights or the order of its data would not fit others."""
        settings = get_model(self.MODEL).settings
        return ("model", "seed", "batch_size", "gradient_accumulation", "mask_pairing", *settings)

    @property
    def averaged(self) -> str:
        """The name of the network that inpaints, whose average may be kept."""
        return next(iter(self.networks))

    def load(self, checkpoint: str | Path) -> None:
        """Start from a checkpoint folder, which must hold every network, or from one network's file."""
        path = Path(checkpoint)
        single = path.stem.removesuffix(AVERAGE) if path.suffix == ".ckpt" and path.is_file() else None
        if single not in (None, *self.networks):
            files = " or ".join(f"{name}.ckpt" for name in self.networks)
            raise InputError(f"{path}: name a checkpoint folder, or its {files}")
        architecture = get_model(self.MODEL).architecture
        for name, network in self.networks.items():
            if single in (None, name):
                info = load_network(path, network, self.info(name), architecture)
                if name in self.batches_tracked:
                    self.batches_tracked[name].batches.set_data(Tensor(info.batches_tracked, ms.int32))

    def info(self, network: str, iteration: int = 0, batches_tracked: int = 0) -> NetworkInfo:
        """What a file of this network says: its settings are the options'."""
        model = get_model(self.MODEL)
        settings = {name: getattr(self.config, name) for name in model.settings}
        return model.info(network, iteration, batches_tracked, **settings)

    def infos(self, iteration: int) -> dict[str, NetworkInfo]:
        """What the files of a checkpoint say, by network."""
        tracked = {name: int(count.batches.asnumpy()) for name, count in self.batches_tracked.items()}
        return {name: self.info(name, iteration, tracked.get(name, 0)) for name in self.networks}

    def files(self) -> dict[str, dict[str, Parameter]]:
        """What the networks' files in a checkpoint hold, by the files' names; the average has one of its own."""
        files = {name: dict(network.parameters_and_names()) for name, network in self.networks.items()}
        if self.average is not None:
            files[f"{self.averaged}{AVERAGE}"] = files[self.averaged] | self.average.named()
        return files

    def state(self) -> dict[str, Parameter]:
        """All else that training goes on from, by name: of the optimizers, loss scales, counts."""
        in_files = {parameter.name for file in self.files().values() for parameter in file.values()}
        cells = [*self.optimizers.values(), *self.loss_scales.values(), self.skips]
        cells += [] if self.average is None else [self.average]
        return {p.name: p for cell in cells for p in cell.get_parameters() if p.name not in in_files}

    def start_stage(self, stage: int) -> None:
        """Fresh optimizers at the rate of stage 1, 2, …, and the step that uses them."""
        raise NotImplementedError

    def step_options(self, network: str) -> dict:
        """How the options say that this network's steps are taken."""
        c = self.config
        if c.ema_decay and self.average is None:
            self.average = Average(self.networks[self.averaged], c.ema_decay)
        if c.amp_level == "O2":
            convolutions_in(DTYPES[c.amp_dtype], self.networks[network])
            if c.amp_dtype == "float16" and network not in self.loss_scales:  # bfloat16 has the range of float32
                self.loss_scales[network] = LossScale(network)
        return {
            "name": network,
            "accumulate": c.gradient_accumulation,
            "clip": c.clip_grad_norm,
            "average": self.average if network == self.averaged else None,
            "loss_scale": self.loss_scales.get(network),
            "count": self.skips,
        }

    def step(self, batch: tuple[Tensor, ...], iteration: int) -> tuple[Tensor, ...]:
        """One iteration, which follows `iteration` others. Losses as in LOSSES; nothing is read from the device."""
        raise NotImplementedError

    def sample_rows(self, count: int = 4) -> list[Row]:
        """The first images of the last iteration, a column for each of SAMPLE_TITLES."""
        raise NotImplementedError
