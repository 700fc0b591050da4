"""CTSDG's two training stages (Sec. 3.5 and 4.1): networks, losses, optimizers, one iteration."""

from pathlib import Path

import numpy as np
from mindspore import Tensor, nn

from src.checkpoint import NetworkInfo, load_network, network_file
from src.ctsdg import Discriminator, Generator
from src.ctsdg.loss import GENERATOR_TERMS, DiscriminatorLoss, GeneratorLoss, LossWeights
from src.data.images import to_uint8
from src.errors import InputError
from src.losses.perceptual import VGG16Features
from src.sheet import Row
from src.training.train_step import TrainOneStep


class CTSDGTraining:
    """What the trainer asks of a model: `networks`, `start_stage`, `step`, `infos`, `sample_rows`.

    Stage 1 trains everything. Stage 2 fine-tunes at a lower rate with the generator's batch norms frozen: they use
    their running statistics and keep them, while their scales still learn.
    """

    LOSSES = (*(f"loss_{term}" for term in GENERATOR_TERMS), "generator_loss", "discriminator_loss")
    SAMPLE_TITLES = ("input", "edges", "output", "truth")

    def __init__(self, config) -> None:
        self.config = config
        self.weights = LossWeights(
            hole=config.hole_loss_w,
            valid=config.valid_loss_w,
            perceptual=config.perceptual_loss_w,
            style=config.style_loss_w,
            adversarial=config.adversarial_loss_w,
            intermediate=config.intermediate_loss_w,
        )
        vgg = load_vgg(config.pretrained_vgg) if self.weights.perceptual or self.weights.style else None
        self.networks = {
            "generator": Generator(config.width, config.align_corners),
            "discriminator": Discriminator(config.width),
        }
        self.batches_tracked = dict.fromkeys(self.networks, 0)
        generator, discriminator = self.networks.values()
        self.generator_loss = GeneratorLoss(generator, discriminator, vgg, self.weights)
        self.discriminator_loss = DiscriminatorLoss(discriminator)

    def load(self, checkpoint: str | Path) -> None:
        """Start from a checkpoint folder, which must hold both networks, or from one network's file."""
        path = Path(checkpoint)
        single = path.stem if path.suffix == ".ckpt" and path.is_file() else None
        for name, network in self.networks.items():
            if single not in (None, name):
                continue
            info = load_network(network_file(path, name), network, self.infos(0)[name])
            self.batches_tracked[name] = info.batches_tracked
        if single is not None and single not in self.networks:
            raise InputError(f"{path}: name a checkpoint folder, or its generator.ckpt or discriminator.ckpt")

    def infos(self, iteration: int) -> dict[str, NetworkInfo]:
        """What the files of a checkpoint say, by network."""
        c = self.config
        shared = {"width": c.width, "image_size": c.image_size, "align_corners": c.align_corners}
        shared |= {"edge_mode": c.edge_mode, "sigma": c.sigma, "iteration": iteration}
        return {
            name: NetworkInfo("ctsdg", name, batches_tracked=self.batches_tracked[name], **shared)
            for name in self.networks
        }

    def start_stage(self, stage: int) -> None:
        """Fresh optimizers at the stage's rate, and the steps that use them."""
        rate = self.config.gen_lr_train if stage == 1 else self.config.gen_lr_finetune
        generator, discriminator = self.networks.values()
        self.optimizers = {
            "generator": nn.Adam(generator.trainable_params(), rate),
            "discriminator": nn.Adam(discriminator.trainable_params(), rate * self.config.dis_lr_multiplier),
        }
        self.generator_step = TrainOneStep(self.generator_loss, self.optimizers["generator"])
        self.discriminator_step = nn.TrainOneStepCell(self.discriminator_loss, self.optimizers["discriminator"])
        self.generator_step.set_train()
        self.discriminator_step.set_train()
        if self.generator_loss.vgg is not None:
            self.generator_loss.vgg.set_train(False)
        self.norms_frozen = stage == 2
        if self.norms_frozen:
            for _, cell in generator.cells_and_names():
                if isinstance(cell, nn.BatchNorm2d):
                    cell.set_train(False)

    def step(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """One iteration: the generator's step, then the discriminator's on the same output. Losses as in LOSSES."""
        image, mask, edge, gray = batch
        total, terms, output, projected_edge = self.generator_step(image, mask, edge, gray)
        discriminator_loss = self.discriminator_step(image, output, edge, gray)
        self.batches_tracked["generator"] += not self.norms_frozen
        self.batches_tracked["discriminator"] += 3  # once for the generator's step, on real, on generated pictures
        self.seen = image, mask, output, projected_edge
        return (*terms, total, discriminator_loss)

    def sample_rows(self, count: int = 4) -> list[Row]:
        """The first pictures of the last iteration, a column for each of SAMPLE_TITLES."""
        rows = []
        for image, mask, output, edge in zip(*(tensor[:count].asnumpy() for tensor in self.seen), strict=True):
            composite = image * mask + output * (1 - mask)
            edge = np.repeat(2 * edge - 1, 3, axis=0)
            rows.append(Row([to_uint8(picture) for picture in (image * mask, edge, composite, image)]))
        return rows


def load_vgg(path: str) -> VGG16Features:
    """VGG16 for the perceptual and style losses. Raises InputError where there is none, or another network."""
    if not path:
        raise InputError(
            "the perceptual and style losses need --pretrained_vgg FILE.ckpt (convert.py makes it from torchvision's "
            "VGG16); --perceptual_loss_w 0 --style_loss_w 0 trains without them"
        )
    vgg = VGG16Features()
    load_network(network_file(path, "vgg16"), vgg, NetworkInfo("vgg16", "vgg16"))
    return vgg
