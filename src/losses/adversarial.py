"""Adversarial losses."""

from mindspore import Tensor, ops

from ..layers.reduce import mean


def binary_cross_entropy(probability: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross-entropy; each logarithm is bounded below by -100, as the published training does it.

    probability, target: any one shape, in [0, 1] -> scalar
    """
    return -mean(target * _bounded_log(probability) + (1.0 - target) * _bounded_log(1.0 - probability))


def _bounded_log(x: Tensor) -> Tensor:
    # ops.binary_cross_entropy stops at log(1e-12). The inner `where` keeps the gradient finite where x is 0.
    positive = x > 1.2e-38
    return ops.where(positive, ops.log(ops.where(positive, x, 1.0)), -100.0)


def hinge_generator(predictions: tuple) -> Tensor:
    """What a generator minimises (Lim and Ye, 2017): the negative mean prediction, averaged over the scales.

    predictions: a map of any shape for each scale -> scalar
    """
    loss = 0.0
    for fake in predictions:
        loss = loss - mean(fake)
    return loss / len(predictions)


def hinge_discriminator(real: tuple, fake: tuple) -> Tensor:
    """How far real predictions stay below 1 and fake ones above -1: the sum of both means, averaged over the scales.

    real, fake: a map of any shape for each scale -> scalar
    """
    loss = 0.0
    for r, f in zip(real, fake):  # noqa: B905 (graph mode has no strict)
        loss = loss + mean(ops.relu(1.0 - r)) + mean(ops.relu(1.0 + f))
    return loss / len(real)
