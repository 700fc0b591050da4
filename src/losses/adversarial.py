"""Adversarial losses."""

from mindspore import Tensor, ops


def binary_cross_entropy(probability: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross-entropy; each logarithm is bounded below by -100, as the published training does it.

    probability, target: any one shape, in [0, 1] -> scalar
    """
    return -(target * _bounded_log(probability) + (1.0 - target) * _bounded_log(1.0 - probability)).mean()


def _bounded_log(x: Tensor) -> Tensor:
    # ops.binary_cross_entropy stops at log(1e-12). The inner `where` keeps the gradient finite where x is 0.
    positive = x > 1.2e-38
    return ops.where(positive, ops.log(ops.where(positive, x, 1.0)), -100.0)
