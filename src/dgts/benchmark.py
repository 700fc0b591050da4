"""What benchmarks/speed.py times of DGTS and its upsampler."""

from collections.abc import Callable

from src.dgts import training
from src.dgts.generator import Generator
from src.dgts.inpainting import Inpainting
from src.dgts.loss import VGG_TAPS
from src.dgts.upsampler import training as upsampler_training
from src.dgts.upsampler.fused import fuse
from src.dgts.upsampler.loss import VGG_TAPS as UPSAMPLER_VGG_TAPS
from src.dgts.upsampler.network import Upsampler, masked_input
from src.losses.perceptual import VGG19Features


def generator(fill_order: str) -> Callable[..., Callable[[], object]]:
    def make(config, batch: tuple) -> Callable[[], object]:
        network = Generator(config.width, config.image_size, fill_order=fill_order).set_train(False)
        return lambda: network(*batch[:2])[0].asnumpy()

    return make


def upsampler(config, batch: tuple) -> Callable[[], object]:
    network, masked = fuse(Upsampler(config.width)), masked_input(*batch[:2])
    return lambda: network(masked, batch[0][:, :, ::8, ::8]).asnumpy()


def inpaint(config, batch: tuple) -> Callable[[], object]:
    small = Generator(config.width, config.image_size)
    network = Inpainting(small, fuse(Upsampler(config.width)), config.image_size)
    return lambda: network(*batch[:2]).asnumpy()


def train(config, batch: tuple) -> Callable[[], object]:
    """One iteration of the generator's training."""
    training.load_vgg = lambda *_: VGG19Features(VGG_TAPS)  # its weights do not change what it costs
    training.check_resnet = lambda _: None
    return iteration(training.DGTSTraining(config), batch)


def train_upsampler(config, batch: tuple) -> Callable[[], object]:
    upsampler_training.load_vgg = lambda *_: VGG19Features(UPSAMPLER_VGG_TAPS)
    return iteration(upsampler_training.UpsamplerTraining(config), batch)


def iteration(model, batch: tuple) -> Callable[[], object]:
    model.start_stage(1)
    return lambda: [float(loss) for loss in model.step(batch[:2], 0)]


ROWS = (
    ("generator, known_pixels", 1, generator("known_pixels")),
    ("generator, known_pixels", 8, generator("known_pixels")),
    ("generator, confidence", 1, generator("confidence")),
    ("generator, confidence", 8, generator("confidence")),
    ("upsampler", 1, upsampler),
    ("inpaint", 1, inpaint),
    ("train", 2, train),
)
UPSAMPLER_ROWS = (("train", 1, train_upsampler),)
