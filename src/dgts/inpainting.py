"""DGTS as a user needs it: a picture with a hole in, the completed picture out."""

from mindspore import Tensor, jit, nn

from src.dgts.low_resolution import STRIDE, HalveBicubic
from src.dgts.upsampler.network import masked_input


class LowResolutionInpainting(nn.Cell):
    """What the upsampler gets of the generator.

    image: (B, 3, S, S) in [-1, 1]; mask: (B, 1, S, S), 1 = known
    -> the completed picture (B, 3, S/8, S/8); the patches filled in turn, int32 (B, N), -1 after the last
    """

    def __init__(self, generator: nn.Cell, image_size: int) -> None:
        super().__init__()
        self.generator, self.halve = generator, HalveBicubic(image_size // STRIDE)
        self.set_train(False)

    @jit  # in either mode: operator by operator, the decoder's loop takes minutes
    def construct(self, image: Tensor, mask: Tensor) -> tuple:
        completed, order = self.generator(image, mask)
        return self.halve(completed), order


class Inpainting(nn.Cell):
    """Generator, then upsampler, then the picture where it is known.

    image: (B, 3, S, S) in [-1, 1]; mask: (B, 1, S, S), 1 = known -> (B, 3, S, S) in [-1, 1]
    """

    def __init__(self, generator: nn.Cell, upsampler: nn.Cell, image_size: int) -> None:
        super().__init__()
        self.low_resolution, self.upsampler = LowResolutionInpainting(generator, image_size), upsampler
        self.set_train(False)

    def construct(self, image: Tensor, mask: Tensor) -> Tensor:
        low, _ = self.low_resolution(image, mask)
        output = self.upsampler(masked_input(image, mask), low)
        return image * mask + output * (1.0 - mask)
