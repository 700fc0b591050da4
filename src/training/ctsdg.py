"""CTSDG's two training stages (Sec. 3.5 and 4.1): networks, losses, optimizers, one iteration."""

import numpy as np
from mindspore import Tensor, nn

from src.checkpoint import NetworkInfo
from src.ctsdg import Discriminator, Generator
from src.ctsdg.loss import GENERATOR_TERMS, DiscriminatorLoss, GeneratorLoss, LossWeights
from src.data.images import to_uint8
from src.losses.perceptual import VGG16Features
from src.sheet import Row
from src.training.model import ModelTraining, load_vgg


class CTSDGTraining(ModelTraining):
    """Generator and discriminator, one after the other.

    Stage 1 trains everything. Stage 2 fine-tunes at a lower rate with the generator's batch norms frozen: they use
    their running statistics and keep them, while their scales still learn.
    """

    MODEL = "ctsdg"
    LOSSES = (*(f"loss_{term}" for term in GENERATOR_TERMS), "generator_loss", "discriminator_loss")
    SAMPLE_TITLES = ("input", "edges", "output", "truth")
    STAGES = 2
    SEES_STRUCTURE = True

    def __init__(self, config) -> None:
        super().__init__(config)
        self.weights = LossWeights(
            hole=config.hole_loss_w,
            valid=config.valid_loss_w,
            perceptual=config.perceptual_loss_w,
            style=config.style_loss_w,
            adversarial=config.adversarial_loss_w,
            intermediate=config.intermediate_loss_w,
        )
        vgg = load_vgg(config, VGG16Features(), NetworkInfo("vgg16", "vgg16"), ("perceptual_loss_w", "style_loss_w"))
        self.networks = {
            "generator": Generator(config.width, config.align_corners),
            "discriminator": Discriminator(config.width),
        }
        self.batches_tracked = dict.fromkeys(self.networks, 0)
        generator, discriminator = self.networks.values()
        self.generator_loss = GeneratorLoss(generator, discriminator, vgg, self.weights)
        self.discriminator_loss = DiscriminatorLoss(discriminator)

    def start_stage(self, stage: int) -> None:
        rate = self.config.gen_lr_train if stage == 1 else self.config.gen_lr_finetune
        generator, discriminator = self.networks.values()
        self.optimizers = {
            "generator": nn.Adam(generator.trainable_params(), rate),
            "discriminator": nn.Adam(discriminator.trainable_params(), rate * self.config.dis_lr_multiplier),
        }
        self.start_steps({"generator": (self.generator_loss, True), "discriminator": (self.discriminator_loss, False)})
        if self.generator_loss.vgg is not None:
            self.generator_loss.vgg.set_train(False)
        self.norms_frozen = stage == 2
        if self.norms_frozen:
            for _, cell in generator.cells_and_names():
                if isinstance(cell, nn.BatchNorm2d):
                    cell.set_train(False)

    def step(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        # The generator's step, then the discriminator's on the same output.
        image, mask, edge, gray = batch
        total, terms, output, projected_edge = self.steps["generator"](image, mask, edge, gray)
        discriminator_loss = self.steps["discriminator"](image, output, edge, gray)
        self.batches_tracked["generator"] += 0 if self.norms_frozen else self.tracked("generator")
        # Once for the generator's step, then on real and on generated pictures.
        self.batches_tracked["discriminator"] += self.tracked("generator") + 2 * self.tracked("discriminator")
        self.seen = image, mask, output, projected_edge
        return (*terms, total, discriminator_loss)

    def sample_rows(self, count: int = 4) -> list[Row]:
        rows = []
        for image, mask, output, edge in zip(*(tensor[:count].asnumpy() for tensor in self.seen), strict=True):
            composite = image * mask + output * (1 - mask)
            edge = np.repeat(2 * edge - 1, 3, axis=0)
            rows.append(Row([to_uint8(picture) for picture in (image * mask, edge, composite, image)]))
        return rows
