"""The smallest model there can be: one convolution fills the hole."""

from mindspore import Tensor, nn, ops

from src.data.images import to_uint8
from src.drawing.sheet import Row
from src.losses.perceptual import l1
from src.model import Model
from src.network_info import IMAGE, MASK
from src.training.model_training import ModelTraining
from src.training.train_step import TrainOneStepCell


class Generator(nn.Cell):
    """image: (B, 3, S, S); mask: (B, 1, S, S), 1 = known -> (B, 3, S, S)"""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 3, 3)

    def construct(self, image: Tensor, mask: Tensor) -> Tensor:
        return ops.tanh(self.conv(ops.cat((image * mask, mask), axis=1)))


class Inpainting(nn.Cell):
    def __init__(self, generator: nn.Cell) -> None:
        super().__init__()
        self.generator = generator

    def construct(self, image: Tensor, mask: Tensor) -> Tensor:
        return image * mask + self.generator(image, mask) * (1.0 - mask)


class Loss(nn.Cell):
    def __init__(self, generator: nn.Cell) -> None:
        super().__init__()
        self.generator = generator

    def construct(self, image: Tensor, mask: Tensor) -> tuple:
        output = self.generator(image, mask)
        return l1(output, image), output


class ToyTraining(ModelTraining):
    MODEL = "toy"
    LOSSES = ("generator_loss",)
    SAMPLE_TITLES = ("output", "truth")

    def __init__(self, config) -> None:
        super().__init__(config)
        self.networks = self.make_networks()
        self.loss = Loss(self.networks["generator"])

    def make_networks(self) -> dict[str, nn.Cell]:
        return {"generator": Generator()}

    def start_stage(self, stage: int) -> None:
        self.optimizers = {"generator": nn.Adam(self.networks["generator"].trainable_params(), 1e-2)}
        options = self.step_options("generator")
        self.train_step = TrainOneStepCell(self.loss.set_train(), self.optimizers["generator"], **options)

    def step(self, batch: tuple[Tensor, ...], iteration: int) -> tuple[Tensor, ...]:
        loss, output = self.train_step(*batch)
        self.seen = output, batch[0]
        return (loss,)

    def sample_rows(self, count: int = 4) -> list[Row]:
        images = zip(*(tensor[:count].asnumpy() for tensor in self.seen), strict=True)
        return [Row([to_uint8(image) for image in row]) for row in images]


TOY = Model(
    "toy",
    settings={"image_size": 256},
    network=lambda info: Generator(),
    training="tests.toy.model:ToyTraining",
    build=lambda generator, file: Inpainting(generator),
    inputs=(IMAGE, MASK),
)
