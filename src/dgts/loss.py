"""What DGTS's generator minimises (Sec. 3.4), on the working image."""

from dataclasses import dataclass

from mindspore import Tensor, nn, ops

from ..losses.perceptual import l1, perceptual_loss, style_loss
from .low_resolution import working_image

GENERATOR_TERMS = ("hole", "perceptual", "style")
PERCEPTUAL_TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
STYLE_TAPS = ("relu2_2", "relu3_4", "relu4_4", "relu5_2")
VGG_TAPS = PERCEPTUAL_TAPS + STYLE_TAPS  # what the VGG19 of the loss has to return


@dataclass(frozen=True)
class LossWeights:
    """Factors of the terms of the generator's loss."""

    hole: float
    perceptual: float
    style: float


class GeneratorLoss(nn.Cell):
    """One forward of the generator and what it is judged by.

    image: (B, 3, S, S) in [-1, 1]; mask: (B, 1, S, S), 1 = known; key: see Generator
    -> weighted total, the unweighted terms in the order of GENERATOR_TERMS, the completed image (B, 3, S/4, S/4)

    hole: mean L1 over the hole's pixels, of the whole batch; perceptual: VGG19's features of the completed image;
    style: their Gram matrices, of the hole alone. `vgg` (VGG19Features(VGG_TAPS)) may be None where the weights of
    both are 0; the two terms are then 0.
    """

    def __init__(self, generator: nn.Cell, vgg: nn.Cell | None, weights: LossWeights) -> None:
        super().__init__()
        if vgg is None and (weights.perceptual or weights.style):
            raise ValueError("the perceptual and the style loss need VGG19")
        self.generator, self.vgg, self.weights = generator, vgg, weights

    def construct(self, image: Tensor, mask: Tensor, key: int | Tensor = 0) -> tuple:
        completed, _ = self.generator(image, mask, None, key)
        truth, hole = working_image(image), 1.0 - working_image(mask)
        # A batch without a hole has nothing to be judged by, and 0 to be divided.
        hole_loss = l1(completed * hole, truth * hole) / hole.mean().clip(1e-6, None)

        perceptual, style = 0.0, 0.0
        if self.vgg is not None:
            whole, hole_alone = self._split(self.vgg(ops.cat((completed, completed * hole))))
            true_whole, true_hole_alone = self._split(self.vgg(ops.cat((truth, truth * hole))))
            perceptual = perceptual_loss(whole, true_whole)
            style = style_loss(hole_alone, true_hole_alone)

        terms = (hole_loss, perceptual, style)
        w = self.weights
        return w.hole * hole_loss + w.perceptual * perceptual + w.style * style, terms, completed

    def _split(self, features: tuple) -> tuple:
        """Of a batch of images and, behind them, of their holes alone: PERCEPTUAL_TAPS of the former, STYLE_TAPS of
        the latter."""
        batch = features[0].shape[0] // 2
        whole, hole_alone = (), ()
        for feature in features[: len(PERCEPTUAL_TAPS)]:
            whole += (feature[:batch],)
        for feature in features[len(PERCEPTUAL_TAPS) :]:
            hole_alone += (feature[batch:],)
        return whole, hole_alone
