"""The published generator at full width with the same weights gives the same numbers here, with its recorded orders.

The official code's own order is rounding noise: see docs/fill_order.md.
"""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from src.checkpoint import load_network
from src.data.images import load_image, normalise
from src.data.masks import read_mask, resize_mask
from src.dgts import convert as dgts
from src.dgts.attention import coarse_levels
from src.dgts.embedding import to_patches
from src.dgts.generator import Generator
from src.dgts.loss import VGG_TAPS, GeneratorLoss, LossWeights
from src.dgts.low_resolution import HalveBicubic, halving_matrix, working_image
from src.dgts.training import make_optimizer
from src.losses.perceptual import VGG19Features
from src.models import get_model
from src.network_info import NetworkInfo
from src.training.train_step import TrainOneStepCell
from tests.defaults import loss_weights
from tests.dgts.conftest import DATA
from tests.parity.digests import assert_close, digest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("memory")]

MASKS = (0, 1, 2)
TOLERANCE = 1e-3
SEQUENTIAL_PICKS = 16  # of the training variant

# Their true gradient is zero, and what is recorded for them is noise: a bias of keys adds the same to all scores of a
# token, which a softmax ignores.
NOISE = ("ak.bias", *(f"decoder.layers.{i}.en_de_attn.key.bias" for i in range(4)))


@pytest.fixture(scope="module", autouse=True)
def graph():
    ms.set_context(mode=ms.GRAPH_MODE)
    yield
    ms.set_context(mode=ms.PYNATIVE_MODE)


def load(folder: Path, **options) -> Generator:
    generator = Generator(**options).set_train(False)
    load_network(folder / "generator.ckpt", generator, get_model("dgts").info("generator"))
    return generator


@pytest.fixture(scope="module")
def generator(published) -> Generator:
    return load(published)


@pytest.fixture(scope="module")
def recorded() -> dict:
    return dict(np.load(DATA / "generator.npz"))


@pytest.fixture(scope="module")
def batch() -> tuple[np.ndarray, np.ndarray]:
    """The first image with each mask, as the data pipeline prepares them."""
    image = normalise(load_image(DATA / "images" / "00.png", 256))
    masks = [resize_mask(read_mask(DATA / "masks" / f"{i:02d}.png"), 256) for i in MASKS]
    return np.stack([image] * len(MASKS)), np.stack(masks)


def test_the_input_is_the_published_one(batch, recorded):
    np.testing.assert_array_equal(batch[0][0], recorded["image"][0])
    np.testing.assert_array_equal(batch[1], recorded["mask"])


@pytest.mark.parametrize("i", MASKS)
def test_tokens_and_reference_tokens_are_the_published_ones(generator, batch, recorded, i):
    image, mask = (Tensor(array[i : i + 1]) for array in batch)
    expected = {name.split(".")[1]: array for name, array in recorded.items() if name.startswith(f"test{i}.")}
    masked = image * mask
    hole = to_patches(1.0 - working_image(mask)).sum(axis=2)
    np.testing.assert_array_equal(64 - hole.asnumpy(), expected["known_count"])

    tokens = generator.decoder.embedding(to_patches(working_image(masked))) + generator.positions
    tokens = generator.coarse(tokens, coarse_levels(64 - hole)).asnumpy()
    np.testing.assert_allclose(tokens[..., ::8], expected["tokens"], rtol=0, atol=TOLERANCE)
    memory = generator.encoder(masked).asnumpy()
    np.testing.assert_allclose(memory[:, ::8, ::8], expected["memory"], rtol=0, atol=TOLERANCE)
    layer4 = generator.encoder.backbone(masked).asnumpy()
    np.testing.assert_allclose(layer4[:, ::64, ::2, ::2], expected["layer4"], rtol=0, atol=TOLERANCE)


def assert_completed(completed: np.ndarray, recorded: dict, i: int) -> None:
    """The official output is zero in fully known patches; there ours is the image."""
    fully_known = np.kron(recorded[f"test{i}.known_count"].reshape(8, 8) == 64, np.ones((8, 8))) == 1
    expected = np.where(fully_known, recorded["image"][0][:, ::4, ::4], recorded[f"test{i}.output"][0])
    np.testing.assert_allclose(completed, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("i", MASKS)
def test_each_mask_alone_gives_the_published_output(generator, batch, recorded, i):
    order = recorded[f"test{i}.order"].astype(np.int32)
    completed, followed = generator(*(Tensor(array[i : i + 1]) for array in batch), Tensor(order))
    np.testing.assert_array_equal(followed.asnumpy()[:, : order.shape[1]], order)
    assert_completed(completed.asnumpy()[0], recorded, i)


def test_the_three_masks_as_one_batch_give_the_same(generator, batch, recorded):
    orders = [recorded[f"test{i}.order"][0] for i in MASKS]
    padded = np.stack([np.pad(order, (0, 64 - len(order)), constant_values=-1) for order in orders]).astype(np.int32)
    completed, _ = generator(*map(Tensor, batch), Tensor(padded))
    for i in MASKS:
        assert_completed(completed.asnumpy()[i], recorded, i)


def test_known_pixels_is_the_recorded_order_and_gives_the_recorded_images(generator, batch):
    expected = np.load(DATA / "end_to_end.npz")
    second = normalise(load_image(DATA / "images" / "01.png", 256))
    images = np.stack([batch[0][0], second, batch[0][0]])
    completed, order = generator(Tensor(images), Tensor(batch[1]))
    low = HalveBicubic(64)(completed).asnumpy()
    for i in MASKS:
        steps = expected[f"case{i}.order"]
        np.testing.assert_array_equal(order.asnumpy()[i, : len(steps)], steps)
        assert (order.asnumpy()[i, len(steps) :] == -1).all()
        np.testing.assert_allclose(completed.asnumpy()[i], expected[f"case{i}.composed64"][0], rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(low[i], expected[f"case{i}.low32"][0], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(halving_matrix(64), expected["bicubic_64_to_32"], atol=1e-7)


class InOrder(nn.Cell):
    """A generator that is told the order."""

    def __init__(self, generator: Generator, order: np.ndarray) -> None:
        super().__init__()
        self.generator = generator
        self.order = Parameter(Tensor(order.astype(np.int32)), requires_grad=False)

    def construct(self, image: Tensor, mask: Tensor, _: None, key: int | Tensor) -> tuple:
        return self.generator(image, mask, self.order, key)


class Gradients(nn.Cell):
    """The loss, and its gradients for every parameter that learns."""

    def __init__(self, network: nn.Cell, generator: Generator) -> None:
        super().__init__()
        self.names = [name for name, p in generator.parameters_and_names() if p.requires_grad]
        weights = ms.ParameterTuple([p for p in generator.get_parameters() if p.requires_grad])
        self.value_and_grad = ms.value_and_grad(network, None, weights, has_aux=True)

    def construct(self, image: Tensor, mask: Tensor) -> tuple:
        return self.value_and_grad(image, mask)


@pytest.fixture(scope="module")
def training(published, recorded) -> tuple[Generator, Gradients]:
    """The training variant, without dropout."""
    generator = load(published, sequential_steps=SEQUENTIAL_PICKS, dropout=0.0)
    features = VGG19Features(VGG_TAPS)
    load_network(published / "vgg19.ckpt", features, NetworkInfo("vgg19", "vgg19"))
    network = GeneratorLoss(InOrder(generator, recorded["train.order"]), features, loss_weights(LossWeights, "dgts"))
    generator.set_train()
    return generator, Gradients(network, generator)


@pytest.fixture(scope="module")
def training_batch(batch, recorded) -> tuple[Tensor, Tensor]:
    """Both images with the second mask."""
    return Tensor(recorded["image"]), Tensor(np.stack([batch[1][1]] * 2))


def test_training_gives_the_published_losses_and_gradients(training, training_batch, recorded):
    generator, gradients = training
    (total, terms, completed), grads = gradients(*training_batch)
    np.testing.assert_allclose([*map(float, terms), float(total)], recorded["train.losses"], rtol=1e-3)
    np.testing.assert_allclose(completed.asnumpy(), recorded["train.composed"], rtol=0, atol=TOLERANCE)

    official = dict(dgts.layout(1.0)[1])
    found = {official[name]: digest(grad.asnumpy()) for name, grad in zip(gradients.names, grads, strict=True)}
    prefix = "train.grad/"
    expected = {name.removeprefix(prefix): array for name, array in recorded.items() if name.startswith(prefix)}
    assert set(found) == set(expected)
    for name in NOISE:
        assert found.pop(name)[0] < 1e-6
        assert expected.pop(name)[0] < 1e-6
    assert_close(found, expected, norm=1e-2, entry=2e-2)

    norms = ("running_mean", "running_var", "bn1.weight", "bn1.bias")  # buffers, in the official code
    frozen = {official[name] for name, p in generator.parameters_and_names() if not p.requires_grad}
    frozen = {name for name in frozen if ".bn" not in name and "downsample.1" not in name and not name.endswith(norms)}
    assert frozen == set(recorded["train.no_grad"])


def test_two_steps_of_adamw_go_as_the_published_ones(published, training_batch):
    """Rates, decay and what is frozen as in DGTSTraining, with the recorded orders."""
    recorded = dict(np.load(DATA / "generator_training.npz"))
    generator = load(published, sequential_steps=SEQUENTIAL_PICKS, dropout=0.0).set_train()
    features = VGG19Features(VGG_TAPS)
    load_network(published / "vgg19.ckpt", features, NetworkInfo("vgg19", "vgg19"))
    in_order = InOrder(generator, recorded["order"][0])
    network = GeneratorLoss(in_order, features, loss_weights(LossWeights, "dgts"))
    step = TrainOneStepCell(network, make_optimizer(generator, rate=1e-4, backbone_rate=1e-5, weight_decay=1e-4))
    for order, losses in zip(recorded["order"], recorded["losses"], strict=True):
        in_order.order.set_data(Tensor(order.astype(np.int32)))
        total, terms, _ = step(*training_batch, Tensor(0, ms.int32))
        np.testing.assert_allclose([*map(float, terms), float(total)], losses, rtol=1e-3)

    official = dict(dgts.layout(1.0)[1])
    found = {official[name]: digest(p.asnumpy()) for name, p in generator.parameters_and_names()}
    prefix = "after2.generator/"
    expected = {name.removeprefix(prefix): array for name, array in recorded.items() if name.startswith(prefix)}
    assert set(found) == set(expected)
    for name in NOISE:  # steps of full length in directions that are rounding noise
        assert found.pop(name)[0] == pytest.approx(expected.pop(name)[0], rel=2e-3)
    assert_close(found, expected, norm=2e-3, entry=5e-3)
