"""CTSDG as a user needs it: an image with a hole in, the completed image out."""

from mindspore import Tensor, nn


class Inpainting(nn.Cell):
    """The generator's output where the hole is, the image where it is known.

    image: (B, 3, H, W) in [-1, 1]; mask: (B, 1, H, W), 1 = known; edge, gray: (B, 1, H, W) in [0, 1]
    -> (B, 3, H, W) in [-1, 1]
    """

    def __init__(self, generator: nn.Cell) -> None:
        super().__init__()
        self.generator = generator
        self.set_train(False)

    def construct(self, image: Tensor, mask: Tensor, edge: Tensor, gray: Tensor) -> Tensor:
        output = self.generator.complete(image, mask, edge, gray)
        return image * mask + output * (1.0 - mask)
