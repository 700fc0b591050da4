"""Training of DGTS's generator (Sec. 4.1)."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from ..checkpoint import load_network
from ..data.images import to_uint8
from ..drawing.sheet import Row
from ..errors import InputError
from ..losses.perceptual import VGG19Features
from ..models import get_model
from ..network_info import NetworkInfo
from ..training.adamw import AdamW
from ..training.model_training import ModelTraining
from .generator import Generator
from .loss import GENERATOR_TERMS, VGG_TAPS, GeneratorLoss, LossWeights
from .low_resolution import working_image
from .train_step import DGTSTrainOneStepCell

RANDOM = "none"  # for --pretrained_resnet: no file, on purpose


class DGTSTraining(ModelTraining):
    """The generator alone, on images of a quarter of the size; its backbone at a rate of its own."""

    MODEL = "dgts"
    LOSSES = (*(f"loss_{term}" for term in GENERATOR_TERMS), "generator_loss")
    SAMPLE_TITLES = ("input", "output", "truth")

    def __init__(self, config) -> None:
        super().__init__(config)
        weights = LossWeights(config.hole_loss_w, config.perceptual_loss_w, config.style_loss_w)
        info = NetworkInfo("vgg19", "vgg19")
        vgg = self.load_vgg(VGG19Features(VGG_TAPS), info, ("perceptual_loss_w", "style_loss_w"))
        self.networks = self.make_networks()
        self.load_backbone()
        self.loss = GeneratorLoss(self.networks["generator"], vgg, weights)

    def make_networks(self) -> dict[str, nn.Cell]:
        info = self.info("generator").with_settings(sequential_steps=self.config.train_sequential_steps)
        return {"generator": get_model(self.MODEL).network(info)}

    def load_backbone(self) -> None:
        """Fill the backbone as the options say. Raises InputError unless it is clear what it starts from."""
        config, path = self.config, self.config.pretrained_resnet
        if config.resume:
            return
        if not path and not config.init_checkpoint:
            raise InputError(
                "the backbone starts from --pretrained_resnet FILE.ckpt (convert.py makes it from torchvision's "
                f"ResNet-50); --pretrained_resnet {RANDOM} starts it at random"
            )
        if path and config.init_checkpoint:
            both = "--pretrained_resnet and --init_checkpoint"
            raise InputError(f"{both} both say what the backbone starts from; give one")
        if path in ("", RANDOM):
            return
        if config.width != 1.0:
            raise InputError(
                f"--pretrained_resnet {path}: torchvision's ResNet-50 has width 1.0, not {config.width}; "
                f"--pretrained_resnet {RANDOM} starts at random"
            )
        load_network(path, self.networks["generator"].encoder.backbone, NetworkInfo("resnet50", "resnet50"))

    def start_stage(self, stage: int) -> None:
        c = self.config
        optimizer = make_optimizer(self.networks["generator"], c.gen_lr_train, c.backbone_lr, c.weight_decay)
        self.optimizers = {"generator": optimizer}
        self.train_step = DGTSTrainOneStepCell(self.loss, optimizer, **self.step_options("generator"))

    def step(self, batch: tuple[Tensor, ...], iteration: int) -> tuple[Tensor, ...]:
        image, mask = batch
        # What dropout follows from: another in each iteration, the same if it is run again.
        key = Tensor(np.random.default_rng((self.config.seed, iteration)).integers(2**31), ms.int32)
        total, terms, completed = self.train_step(image, mask, key)
        self.seen = image, mask, completed
        return (*terms, total)

    def sample_rows(self, count: int = 4) -> list[Row]:
        rows = []
        for image, mask, completed in zip(*(tensor[:count].asnumpy() for tensor in self.seen), strict=True):
            image, mask = (working_image(array[None])[0] for array in (image, mask))
            rows.append(Row([to_uint8(shown) for shown in (image * mask, completed, image)]))
        return rows


def make_optimizer(generator: Generator, rate: float, backbone_rate: float, weight_decay: float) -> AdamW:
    """AdamW, with a rate of its own for what learns of the backbone."""
    backbone = generator.encoder.backbone.trainable_params()
    names = {parameter.name for parameter in backbone}
    others = [parameter for parameter in generator.trainable_params() if parameter.name not in names]
    groups = [{"params": backbone, "lr": backbone_rate}, {"params": others, "lr": rate}]
    return AdamW(groups, rate, weight_decay=weight_decay)
