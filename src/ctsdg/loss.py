"""What CTSDG's two networks minimise (Sec. 3.5)."""

from dataclasses import dataclass

from mindspore import Tensor, nn, ops

from ..losses.adversarial import binary_cross_entropy
from ..losses.perceptual import l1, perceptual_loss, style_loss
from ..losses.psnr import hole_psnr


@dataclass(frozen=True)
class LossWeights:
    """Factors of the terms of the generator's loss (Eq. 17)."""

    hole: float
    valid: float
    perceptual: float
    style: float
    adversarial: float
    intermediate: float


HOLE_LOSSES = ("l1", "psnr")
GENERATOR_TERMS = ("hole", "valid", "perceptual", "style", "adversarial", "intermediate")


class GeneratorLoss(nn.Cell):
    """One forward of the generator and everything it is judged by.

    image: (B, 3, H, W) in [-1, 1]; mask: (B, 1, H, W), 1 = known; edge, gray: (B, 1, H, W) in [0, 1]
    -> weighted total, the six unweighted terms in the order of GENERATOR_TERMS, output (B, 3, H, W), projected edge

    `vgg` may be None where the perceptual and the style weight are 0; the two terms are then 0. So is the adversarial
    term where its weight is 0. `hole_loss` is one of HOLE_LOSSES: "l1" as published; "psnr", this project's own, is
    minus the PSNR inside the holes, so that an error of 1 % counts the same in a smooth hole and in a rough one.
    """

    def __init__(
        self,
        generator: nn.Cell,
        discriminator: nn.Cell,
        vgg: nn.Cell | None,
        weights: LossWeights,
        hole_loss: str,
        psnr_limit: float,
    ) -> None:
        super().__init__()
        if hole_loss not in HOLE_LOSSES:
            raise ValueError(f"hole_loss is one of {', '.join(HOLE_LOSSES)}, not {hole_loss}")
        if vgg is None and (weights.perceptual or weights.style):
            raise ValueError("the perceptual and the style loss need VGG16")
        self.generator, self.discriminator, self.vgg = generator, discriminator, vgg
        self.weights, self.hole_loss, self.psnr_limit = weights, hole_loss, psnr_limit

    def construct(self, image: Tensor, mask: Tensor, edge: Tensor, gray: Tensor) -> tuple:
        output, projected_image, projected_edge = self.generator(image, mask, edge, gray)
        hole = 1.0 - mask
        composite = image * mask + output * hole

        if self.hole_loss == "psnr":
            hole_loss = -hole_psnr(output, image, hole, self.psnr_limit)
        else:
            hole_loss = l1(output * hole, image * hole)
        valid_loss = l1(output * mask, image * mask)

        perceptual, style = 0.0, 0.0
        if self.vgg is not None:
            # Output and composite are one batch. The truth goes apart: nothing flows back through it.
            features = self.vgg(ops.cat((output, composite)))
            target = ()
            for level in self.vgg(image):
                target += (ops.cat((level, level)),)
            # The published loss adds the two images' terms; a mean over both is half of that.
            perceptual = 2.0 * perceptual_loss(features, target)
            style = 2.0 * style_loss(features, target)

        adversarial = 0.0
        if self.weights.adversarial:
            prediction, detected_edge = self.discriminator(output, None, gray)
            adversarial = binary_cross_entropy(prediction, ops.ones_like(prediction))
            adversarial += binary_cross_entropy(detected_edge, edge)
        intermediate = binary_cross_entropy(projected_edge, edge) + l1(projected_image, image)

        terms = (hole_loss, valid_loss, perceptual, style, adversarial, intermediate)
        w = self.weights
        total = w.hole * hole_loss + w.valid * valid_loss + w.perceptual * perceptual + w.style * style
        total += w.adversarial * adversarial + w.intermediate * intermediate
        return total, terms, output, projected_edge


class DiscriminatorLoss(nn.Cell):
    """Real against generated, and the detected edges of both against the true ones.

    image, fake: (B, 3, H, W) in [-1, 1]; edge, gray: (B, 1, H, W) in [0, 1] -> scalar
    """

    def __init__(self, discriminator: nn.Cell) -> None:
        super().__init__()
        self.discriminator = discriminator

    def construct(self, image: Tensor, fake: Tensor, edge: Tensor, gray: Tensor) -> Tensor:
        real_prediction, real_edge = self.discriminator(image, edge, gray)
        fake_prediction, fake_edge = self.discriminator(fake, None, gray)
        real = binary_cross_entropy(real_prediction, ops.ones_like(real_prediction))
        generated = binary_cross_entropy(fake_prediction, ops.zeros_like(fake_prediction))
        return real + generated + binary_cross_entropy(real_edge, edge) + binary_cross_entropy(fake_edge, edge)
