"""DGTS as a user needs it: an image with a hole in, the completed image out."""

from mindspore import Tensor, nn

from .low_resolution import LowResolutionInpainting
from .upsampler.network import masked_input


class Inpainting(nn.Cell):
    """Generator, then upsampler, then the image where it is known.

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
