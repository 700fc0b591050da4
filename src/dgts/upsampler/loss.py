"""What the upsampler and its discriminator minimise."""

from dataclasses import dataclass

from mindspore import Tensor, nn, ops

from ...layers.reduce import mean
from ...losses.adversarial import hinge_discriminator, hinge_generator
from ...losses.perceptual import l1
from .network import masked_input

VGG_TAPS = ("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2")
VGG_TAP_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
PERCEPTUAL_TAP = VGG_TAPS.index("relu4_2")
BGR_MEANS = (0.40760392, 0.45795686, 0.48501961)


@dataclass(frozen=True)
class UpsamplerLossWeights:
    """Factors of the terms of the upsampler's loss."""

    adversarial: float
    vgg: float
    perceptual: float
    hole: float
    valid: float


UPSAMPLER_TERMS = ("gan", "perceptual", "vgg", "hole", "valid")


def caffe_input(image: Tensor) -> Tensor:
    """What the Caffe-style VGG19 was trained on: (B, 3, H, W), RGB in [-1, 1] -> BGR up to 255 without its means."""
    red, green, blue = ops.split(0.5 * image + 0.5, 1, axis=1)
    channels = ()
    for channel, average in zip((blue, green, red), BGR_MEANS):  # noqa: B905 (graph mode has no strict)
        channels += (255.0 * (channel - average),)
    return ops.cat(channels, axis=1)


def masked_l1(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference where the mask is 1, or 0 if it is nowhere.

    a, b: (B, C, H, W); mask: (B, 1, H, W) -> scalar
    """
    return l1(a * mask, b * mask) / ops.maximum(mean(mask), 1e-8)


class UpsamplerLoss(nn.Cell):
    """One forward of the upsampler and everything it is judged by.

    image: (B, 3, S, S) in [-1, 1]; mask: (B, 1, S, S), 1 = known; low: (B, 3, S/8, S/8)
    -> weighted total, the five unweighted terms in the order of UPSAMPLER_TERMS, output (B, 3, S, S)

    `vgg` is a VGG19Features of VGG_TAPS, in the Caffe style; it may be None where the VGG and the perceptual weight are
    0, and the two terms are then 0.
    """

    def __init__(
        self, upsampler: nn.Cell, discriminator: nn.Cell, vgg: nn.Cell | None, weights: UpsamplerLossWeights
    ) -> None:
        super().__init__()
        if vgg is None and (weights.vgg or weights.perceptual):
            raise ValueError("the VGG and the perceptual loss need VGG19")
        self.upsampler, self.discriminator, self.vgg, self.weights = upsampler, discriminator, vgg, weights

    def construct(self, image: Tensor, mask: Tensor, low: Tensor) -> tuple:
        hole = 1.0 - mask
        output = self.upsampler(masked_input(image, mask), low)
        hole_loss = masked_l1(output, image, hole)
        valid_loss = masked_l1(output, image, mask)

        perceptual, vgg = 0.0, 0.0
        if self.vgg is not None:
            features, target = self.vgg(caffe_input(output)), self.vgg(caffe_input(image))
            for i, weight in enumerate(VGG_TAP_WEIGHTS):
                vgg = vgg + weight * l1(features[i], target[i])
            difference = features[PERCEPTUAL_TAP] - target[PERCEPTUAL_TAP]
            perceptual = mean(difference * difference)

        gan = hinge_generator(self.discriminator(output))
        terms = (gan, perceptual, vgg, hole_loss, valid_loss)
        w = self.weights
        total = w.adversarial * gan + w.perceptual * perceptual + w.vgg * vgg
        return total + w.hole * hole_loss + w.valid * valid_loss, terms, output


class DiscriminatorLoss(nn.Cell):
    """Real against generated, judged as one batch.

    image: (B, 3, S, S) in [-1, 1]; mask: (B, 1, S, S), 1 = known; low: (B, 3, S/8, S/8) -> scalar

    The image is generated again, as the published training does it: the upsampler has taken its step, and its batch
    norms and spectral norms move once more.
    """

    def __init__(self, upsampler: nn.Cell, discriminator: nn.Cell) -> None:
        super().__init__()
        self.upsampler, self.discriminator = upsampler, discriminator

    def construct(self, image: Tensor, mask: Tensor, low: Tensor) -> Tensor:
        fake = ops.stop_gradient(self.upsampler(masked_input(image, mask), low))
        batch = image.shape[0]
        fake_predictions, real_predictions = (), ()
        for prediction in self.discriminator(ops.cat((fake, image))):
            fake_predictions += (prediction[:batch],)
            real_predictions += (prediction[batch:],)
        return hinge_discriminator(real_predictions, fake_predictions)
