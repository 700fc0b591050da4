"""Training of DGTS's upsampler: a hinge GAN whose discriminator learns at a rate of its own."""

import numpy as np
from mindspore import Tensor, nn

from ...checkpoint import read_generator
from ...data.images import to_uint8
from ...drawing.sheet import Row
from ...errors import InputError
from ...losses.perceptual import VGG19Features
from ...models import get_model
from ...network_info import NetworkInfo
from ...training.adamw import AdamW
from ...training.counters import BatchCount
from ...training.model_training import ModelTraining
from ..low_resolution import STRIDE, HalveBicubic, LowResolutionInpainting, working_image
from .discriminator import Discriminator
from .loss import UPSAMPLER_TERMS, VGG_TAPS, DiscriminatorLoss, UpsamplerLoss, UpsamplerLossWeights
from .train_step import UpsamplerTrainOneStepCell

BETAS = (0.0, 0.9)


class UpsamplerTraining(ModelTraining):
    """Upsampler and discriminator, one after the other, on small images, true ones or a generator's."""

    MODEL = "upsampler"
    LOSSES = (*(f"loss_{term}" for term in UPSAMPLER_TERMS), "upsampler_loss", "discriminator_loss")
    SAMPLE_TITLES = ("input", "small", "output", "truth")

    def __init__(self, config) -> None:
        super().__init__(config)
        weights = UpsamplerLossWeights(
            adversarial=config.adversarial_loss_w,
            vgg=config.vgg_loss_w,
            perceptual=config.perceptual_loss_w,
            hole=config.hole_loss_w,
            valid=config.valid_loss_w,
        )
        info = NetworkInfo("vgg19", "vgg19_caffe")
        losses = ("perceptual_loss_w", "vgg_loss_w")
        vgg = self.load_vgg(VGG19Features(VGG_TAPS), info, losses, "the published upsampler's")
        self.halve, self.low_resolution = HalveBicubic(config.image_size // STRIDE), None
        if config.low_res_from:
            file = read_generator(config.low_res_from, {"model": "dgts"})
            size = file.info.image_size
            if size != config.image_size:
                raise InputError(
                    f"--low_res_from {config.low_res_from} has image_size {size}, not {config.image_size}; "
                    "give that one"
                )
            self.low_resolution = LowResolutionInpainting(file.cell(get_model("dgts").network), size)
        self.networks = self.make_networks()
        upsampler, discriminator = self.networks.values()
        self.batches_tracked = {"upsampler": BatchCount("upsampler")}
        self.upsampler_loss = UpsamplerLoss(upsampler, discriminator, vgg, weights)
        self.discriminator_loss = DiscriminatorLoss(upsampler, discriminator)

    def make_networks(self) -> dict[str, nn.Cell]:
        upsampler = get_model(self.MODEL).network(self.info("upsampler"))
        return {"upsampler": upsampler, "discriminator": Discriminator(self.config.width)}

    def start_stage(self, stage: int) -> None:
        upsampler, discriminator = (network.trainable_params() for network in self.networks.values())
        rate = self.config.gen_lr_train
        self.optimizers = {
            "upsampler": AdamW(upsampler, rate, BETAS),
            "discriminator": AdamW(discriminator, rate * self.config.dis_lr_multiplier, BETAS),
        }
        self.train_step = UpsamplerTrainOneStepCell(
            self.upsampler_loss,
            self.discriminator_loss,
            self.optimizers,
            {name: self.step_options(name) for name in self.networks},
            self.batches_tracked["upsampler"],
        )

    def step(self, batch: tuple[Tensor, ...], iteration: int) -> tuple[Tensor, ...]:
        image, mask = batch
        low = self.small_images(image, mask)
        (total, terms, output), discriminator_loss = self.train_step(image, mask, low)
        self.seen = image, mask, low, output
        return (*terms, total, discriminator_loss)

    def small_images(self, image: Tensor, mask: Tensor) -> Tensor:
        """(B, 3, S, S), (B, 1, S, S) -> what the upsampler enlarges, (B, 3, S/8, S/8)."""
        if self.low_resolution is None:
            return self.halve(working_image(image))
        low, _ = self.low_resolution(image, mask)
        return low

    def sample_rows(self, count: int = 4) -> list[Row]:
        rows = []
        for image, mask, low, output in zip(*(tensor[:count].asnumpy() for tensor in self.seen), strict=True):
            scale = image.shape[1] // low.shape[1]
            enlarged = np.kron(low, np.ones((1, scale, scale), low.dtype))
            composite = image * mask + output * (1 - mask)
            rows.append(Row([to_uint8(shown) for shown in (image * mask, enlarged, composite, image)]))
        return rows
