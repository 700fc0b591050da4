"""The peak signal-to-noise ratio as a loss (Chen et al., "HINet", CVPRW 2021, Sec. 3.2)."""

import math

from mindspore import Tensor, ops

from ..layers.reduce import mean, sum_samples

PEAK = 2.0  # images reach from -1 to 1


def hole_psnr(output: Tensor, image: Tensor, hole: Tensor, limit: float) -> Tensor:
    """In decibels, over the hole of each image, and the mean over the batch.

    output, image: (B, C, H, W) in [-1, 1]; hole: (B, 1, H, W), 1 = hole; limit: decibels of a perfect image, which
    keeps the logarithm finite, and spares what is nearly right -> scalar; without a hole, the limit
    """
    error = (output - image) * hole
    squares = sum_samples(error * error) / ops.maximum(image.shape[1] * sum_samples(hole), 1.0)
    return mean(ops.log(squares / PEAK**2 + 10.0 ** (-limit / 10.0))) * (-10.0 / math.log(10.0))
