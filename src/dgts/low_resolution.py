"""The small images that DGTS works on: every fourth pixel, and half of that for the upsampler."""

import numpy as np
from mindspore import Tensor, jit, nn, ops
from PIL import Image

STRIDE = 4  # pixels of the image for one of the working image


def working_image(x: Tensor) -> Tensor:
    """Every fourth pixel (nearest): (B, C, S, S) -> (B, C, S/4, S/4)."""
    return x[:, :, ::STRIDE, ::STRIDE]


class HalveBicubic(nn.Cell):
    """What the upsampler gets: half the size, with the bicubic filter of Pillow, that the published files went through.

    image: (B, C, size, size), clamped to [-1, 1] first -> (B, C, size/2, size/2), which may overshoot [-1, 1]
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.matrix = Tensor(halving_matrix(size))
        self.transposed = Tensor(halving_matrix(size).T.copy())

    def construct(self, image: Tensor) -> Tensor:
        image = ops.clamp(image, -1.0, 1.0)
        return ops.matmul(ops.matmul(self.matrix, image), self.transposed)


def halving_matrix(size: int) -> np.ndarray:
    """(size/2, size): row i holds the weights of output pixel i. The filter is linear and separable."""
    identity = Image.fromarray(np.eye(size, dtype=np.float32))
    return np.asarray(identity.resize((size, size // 2), Image.Resampling.BICUBIC))


class LowResolutionInpainting(nn.Cell):
    """What the upsampler gets of the generator.

    image: (B, 3, S, S) in [-1, 1]; mask: (B, 1, S, S), 1 = known
    -> the completed image (B, 3, S/8, S/8); the patches filled in turn, int32 (B, N), -1 after the last
    """

    def __init__(self, generator: nn.Cell, image_size: int) -> None:
        super().__init__()
        self.generator, self.halve = generator, HalveBicubic(image_size // STRIDE)
        self.set_train(False)

    @jit  # in either mode: operator by operator, the decoder's loop takes minutes
    def construct(self, image: Tensor, mask: Tensor) -> tuple:
        completed, order = self.generator(image, mask)
        return self.halve(completed), order
