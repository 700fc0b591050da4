"""What benchmarks/speed.py times of each model, and on what."""

from collections.abc import Callable
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from src.ctsdg.inpainting import Inpainting as CTSDGInpainting
from src.ctsdg.training import CTSDGTraining
from src.data.masks import draw_mask
from src.dgts.inpainting import Inpainting as DGTSInpainting
from src.dgts.training import DGTSTraining
from src.dgts.upsampler.fused import fuse
from src.dgts.upsampler.network import masked_input
from src.dgts.upsampler.training import UpsamplerTraining
from src.models import get_model

Make = Callable[..., Callable[[], object]]  # options, batch (image, mask, edge, gray) -> a call that is timed


def network(model: str, config, **settings: Any) -> nn.Cell:
    """A model's network as published, but for its size."""
    info = get_model(model).info("", width=config.width, **settings)
    return get_model(model).network(info)


def ctsdg(config, batch: tuple) -> Callable[[], object]:
    cell = CTSDGInpainting(network("ctsdg", config))
    return lambda: cell(*batch).asnumpy()


def dgts(config, batch: tuple) -> Callable[[], object]:
    generator = network("dgts", config, image_size=config.image_size)
    cell = DGTSInpainting(generator, fuse(network("upsampler", config)), config.image_size)
    return lambda: cell(*batch[:2]).asnumpy()


def dgts_generator(fill_order: str) -> Make:
    def make(config, batch: tuple) -> Callable[[], object]:
        cell = network("dgts", config, image_size=config.image_size, fill_order=fill_order).set_train(False)
        return lambda: cell(*batch[:2])[0].asnumpy()

    return make


def upsampler(config, batch: tuple) -> Callable[[], object]:
    cell, masked = fuse(network("upsampler", config)), masked_input(*batch[:2])
    return lambda: cell(masked, batch[0][:, :, ::8, ::8]).asnumpy()


class RandomWeights:
    """A training without files: what weights are does not change what an iteration costs."""

    config: Any  # of the training

    def load_vgg(self, network: nn.Cell, info: object, losses: tuple[str, ...], *_) -> nn.Cell | None:
        return network if any(getattr(self.config, name) for name in losses) else None

    def load_backbone(self) -> None:
        pass


def train(training: type, inputs: int) -> Make:
    """One iteration of stage 1 with every loss, on the first `inputs` of the batch."""

    class Timed(RandomWeights, training):
        pass

    def make(config, batch: tuple) -> Callable[[], object]:
        model = Timed(config)
        model.start_stage(1)
        return lambda: [float(loss) for loss in model.step(batch[:inputs], 0)]

    return make


# By model: rows of a name, a batch size, and what makes the call.
ROWS: dict[str, tuple[tuple[str, int, Make], ...]] = {
    "ctsdg": (("inpaint", 1, ctsdg), ("inpaint", 4, ctsdg), ("train", 2, train(CTSDGTraining, 4))),
    "dgts": (
        ("generator, known_pixels", 1, dgts_generator("known_pixels")),
        ("generator, known_pixels", 8, dgts_generator("known_pixels")),
        ("generator, confidence", 1, dgts_generator("confidence")),
        ("generator, confidence", 8, dgts_generator("confidence")),
        ("upsampler", 1, upsampler),
        ("inpaint", 1, dgts),
        ("train", 2, train(DGTSTraining, 2)),
    ),
    "upsampler": (("train", 1, train(UpsamplerTraining, 2)),),
}


def random_batch(batch: int, side: int) -> tuple[Tensor, ...]:
    """image, mask, edge, gray"""
    rng = np.random.default_rng(0)
    image, edge, gray = (rng.random((batch, channels, side, side), dtype=np.float32) for channels in (3, 1, 1))
    mask = np.stack([draw_mask(rng, side, 0.32, 0.34) for _ in range(batch)])
    return tuple(Tensor(array) for array in (2 * image - 1, mask, np.float32(edge > 0.9), gray))
