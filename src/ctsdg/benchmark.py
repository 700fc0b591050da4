"""What benchmarks/speed.py times of CTSDG."""

from collections.abc import Callable

from src.ctsdg import training
from src.ctsdg.generator import Generator
from src.ctsdg.inpainting import Inpainting
from src.losses.perceptual import VGG16Features


def inpaint(config, batch: tuple) -> Callable[[], object]:
    network = Inpainting(Generator(config.width))
    return lambda: network(*batch).asnumpy()


def train(config, batch: tuple) -> Callable[[], object]:
    """One iteration of stage 1 with every loss, VGG16's among them."""
    if config.perceptual_loss_w or config.style_loss_w:
        training.load_vgg = lambda *_: VGG16Features()  # its weights do not change what it costs
    model = training.CTSDGTraining(config)
    model.start_stage(1)
    return lambda: [float(loss) for loss in model.step(batch, 0)]


ROWS = (("inpaint", 1, inpaint), ("inpaint", 4, inpaint), ("train", 2, train))
