"""CTSDG's two training stages (Sec. 3.5 and 4.1): networks, losses, optimizers, one iteration."""

import numpy as np
from mindspore import Tensor, nn

from ..data.images import to_uint8
from ..drawing.sheet import Row
from ..errors import InputError
from ..losses.perceptual import VGG16Features
from ..models import get_model
from ..network_info import NetworkInfo
from ..training.counters import BatchCount
from ..training.model_training import ModelTraining
from .discriminator import Discriminator
from .generator import ENCODER_STAGES
from .loss import GENERATOR_TERMS, DiscriminatorLoss, GeneratorLoss, LossWeights
from .train_step import CTSDGTrainOneStepCell


class CTSDGTraining(ModelTraining):
    """Generator and discriminator, one after the other.

    Stage 1 trains everything. Stage 2 fine-tunes at a lower rate with the generator's batch norms frozen.
    """

    MODEL = "ctsdg"
    LOSSES = (*(f"loss_{term}" for term in GENERATOR_TERMS), "generator_loss", "discriminator_loss")
    SAMPLE_TITLES = ("input", "edges", "output", "truth")
    STAGES = 2

    def __init__(self, config) -> None:
        super().__init__(config)
        weights = LossWeights(
            hole=config.hole_loss_w,
            valid=config.valid_loss_w,
            perceptual=config.perceptual_loss_w,
            style=config.style_loss_w,
            adversarial=config.adversarial_loss_w,
            intermediate=config.intermediate_loss_w,
        )
        losses = ("perceptual_loss_w", "style_loss_w")
        vgg = self.load_vgg(VGG16Features(), NetworkInfo("vgg16", "vgg16"), losses)
        self.networks = self.make_networks()
        generator, discriminator = self.networks.values()
        self.batches_tracked = {name: BatchCount(name) for name in self.networks}
        self.generator_loss = GeneratorLoss(generator, discriminator, vgg, weights, config.hole_loss, config.psnr_limit)
        self.discriminator_loss = DiscriminatorLoss(discriminator)

    def make_networks(self) -> dict[str, nn.Cell]:
        c, deepest = self.config, self.config.image_size >> len(ENCODER_STAGES)  # pixels of a side
        if c.train_iter and c.batch_size * deepest == 1:
            raise InputError(
                f"--batch_size 1 --image_size {c.image_size}: the deepest batch norm would see a single value, without "
                "variance; give --batch_size 2, which --gradient_accumulation is no substitute for, or a larger image"
            )
        generator = get_model(self.MODEL).network(self.info("generator"))
        return {"generator": generator, "discriminator": Discriminator(self.config.width)}

    def start_stage(self, stage: int) -> None:
        rate = self.config.gen_lr_train if stage == 1 else self.config.gen_lr_finetune
        generator, discriminator = self.networks.values()
        self.optimizers = {
            "generator": nn.Adam(generator.trainable_params(), rate),
            "discriminator": nn.Adam(discriminator.trainable_params(), rate * self.config.dis_lr_multiplier),
        }
        self.train_step = CTSDGTrainOneStepCell(
            self.generator_loss,
            self.discriminator_loss,
            self.optimizers,
            {name: self.step_options(name) for name in self.networks},
            self.batches_tracked,
            norms_frozen=stage == 2,
        )

    def step(self, batch: tuple[Tensor, ...], iteration: int) -> tuple[Tensor, ...]:
        image, mask, edge, gray = batch
        (total, terms, output, projected_edge), discriminator_loss = self.train_step(image, mask, edge, gray)
        self.seen = image, mask, output, projected_edge
        return (*terms, total, discriminator_loss)

    def sample_rows(self, count: int = 4) -> list[Row]:
        rows = []
        for image, mask, output, edge in zip(*(tensor[:count].asnumpy() for tensor in self.seen), strict=True):
            composite = image * mask + output * (1 - mask)
            edge = np.repeat(2 * edge - 1, 3, axis=0)
            rows.append(Row([to_uint8(shown) for shown in (image * mask, edge, composite, image)]))
        return rows
