import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from src.ctsdg import Discriminator, Generator
from src.ctsdg.loss import GENERATOR_TERMS, DiscriminatorLoss, GeneratorLoss, LossWeights
from src.losses.perceptual import VGG16Features, gram
from src.losses.psnr import hole_psnr
from src.training.train_step import TrainOneStepCell
from tests.defaults import loss_weights

WIDTH, SIZE = 0.05, 128


class Painter(nn.Cell):
    """A generator that always paints the same."""

    def __init__(self, output: Tensor, projected_image: Tensor, projected_edge: Tensor) -> None:
        super().__init__()
        self.output = Parameter(output)
        self.projected_image, self.projected_edge = Parameter(projected_image), Parameter(projected_edge)

    def construct(self, image: Tensor, mask: Tensor, edge: Tensor, gray: Tensor) -> tuple:
        return self.output, self.projected_image, self.projected_edge


class Judge(nn.Cell):
    """A discriminator that believes an image as far as it is bright, and detects its first channel as edges."""

    def construct(self, image: Tensor, edge: Tensor | None, gray: Tensor) -> tuple:
        bright = (image + 1.0) / 2.0
        return bright.mean((2, 3), keep_dims=True), bright[:, :1] * 0.5


@pytest.fixture
def batch(rand):
    """image, mask, edge, gray of two images of 16×16."""
    mask = np.ones((2, 1, 16, 16), np.float32)
    mask[:, :, 4:10, 6:14] = 0
    edge = (rand(2, 1, 16, 16).asnumpy() > 1).astype(np.float32)
    return ops.tanh(rand(2, 3, 16, 16)), Tensor(mask), Tensor(edge), ops.sigmoid(rand(2, 1, 16, 16))


@pytest.fixture
def painter(rand):
    return Painter(ops.tanh(rand(2, 3, 16, 16)), ops.tanh(rand(2, 3, 16, 16)), ops.sigmoid(rand(2, 1, 16, 16)))


def entropy(p: np.ndarray, target: np.ndarray | float) -> float:
    return -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean()


def test_every_term_by_hand(mode, batch, painter):
    vgg, weights = VGG16Features(), loss_weights(LossWeights, "ctsdg")
    total, terms, output, projected_edge = GeneratorLoss(painter, Judge(), vgg, weights, "l1", 50)(*batch)
    found = {name: float(term.asnumpy()) for name, term in zip(GENERATOR_TERMS, terms, strict=True)}

    image, mask, edge, _ = (tensor.asnumpy() for tensor in batch)
    painted, painted_image, painted_edge = (
        parameter.asnumpy() for parameter in (painter.output, painter.projected_image, painter.projected_edge)
    )
    composite = np.where(mask == 1, image, painted)
    difference = np.abs(painted - image)
    bright = (painted + 1) / 2

    def over_levels(feature, image):
        pairs = zip(vgg(Tensor(image)), vgg(batch[0]), strict=True)
        return sum(float(ops.abs(feature(a) - feature(b)).mean().asnumpy()) for a, b in pairs)

    expected = {
        "hole": (difference * (1 - mask)).mean(),
        "valid": (difference * mask).mean(),
        "perceptual": sum(over_levels(lambda x: x, image) for image in (painted, composite)),
        "style": sum(over_levels(gram, image) for image in (painted, composite)),
        "adversarial": entropy(bright.mean((2, 3)), 1) + entropy(bright[:, :1] * 0.5, edge),
        "intermediate": entropy(painted_edge, edge) + np.abs(painted_image - image).mean(),
    }
    assert found == pytest.approx(expected, rel=1e-4)
    weighted = sum(getattr(weights, name) * value for name, value in expected.items())
    assert float(total.asnumpy()) == pytest.approx(weighted, rel=1e-4)
    np.testing.assert_array_equal(output.asnumpy(), painted)
    np.testing.assert_array_equal(projected_edge.asnumpy(), painted_edge)


def test_without_vgg_its_terms_are_zero_and_their_weights_must_be(mode, batch, painter):
    with pytest.raises(ValueError, match="VGG16"):
        GeneratorLoss(painter, Judge(), None, loss_weights(LossWeights, "ctsdg", style=0), "l1", 50)
    weights = loss_weights(LossWeights, "ctsdg", style=0, perceptual=0)
    _, terms, _, _ = GeneratorLoss(painter, Judge(), None, weights, "l1", 50)(*batch)
    named = dict(zip(GENERATOR_TERMS, terms, strict=True))
    assert named["perceptual"] == named["style"] == 0


def test_the_error_in_holes_may_be_minus_decibels(mode, batch, painter):
    image, mask, _, _ = batch
    weights = LossWeights(hole=0.1, valid=0, perceptual=0, style=0, adversarial=0, intermediate=0)
    total, terms, _, _ = GeneratorLoss(painter, Judge(), None, weights, hole_loss="psnr", psnr_limit=50)(*batch)
    decibels = float(hole_psnr(painter.output, image, 1 - mask, 50).asnumpy())
    assert float(terms[0].asnumpy()) == pytest.approx(-decibels)
    assert float(total.asnumpy()) == pytest.approx(-0.1 * decibels)
    with pytest.raises(ValueError, match="l1, psnr"):
        GeneratorLoss(painter, Judge(), None, weights, hole_loss="l2", psnr_limit=50)


def test_a_perfect_painter_pays_for_the_critic_alone(mode, batch):
    image, _, edge, _ = batch
    perfect = Painter(image, image, edge)
    _, terms, _, _ = GeneratorLoss(perfect, Judge(), VGG16Features(), loss_weights(LossWeights, "ctsdg"), "l1", 50)(
        *batch
    )
    found = {name: float(term.asnumpy()) for name, term in zip(GENERATOR_TERMS, terms, strict=True)}
    assert found.pop("adversarial") > 0.1
    assert found == pytest.approx(dict.fromkeys(found, 0), abs=1e-6)


def test_the_discriminator_pays_for_four_things(mode, batch, painter):
    image, _, edge, gray = batch
    fake = painter.output
    found = DiscriminatorLoss(Judge())(image, fake, edge, gray)
    real, fake = ((tensor.asnumpy() + 1) / 2 for tensor in (image, fake))
    expected = entropy(real.mean((2, 3)), 1) + entropy(fake.mean((2, 3)), 0)
    expected += entropy(real[:, :1] * 0.5, edge.asnumpy()) + entropy(fake[:, :1] * 0.5, edge.asnumpy())
    assert float(found.asnumpy()) == pytest.approx(expected, rel=1e-4)


def snapshot(network: nn.Cell) -> dict[str, np.ndarray]:
    return {name: parameter.asnumpy().copy() for name, parameter in network.parameters_and_names()}


def changed(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    return {name.rsplit(".", 1)[-1] for name in before if (before[name] != after[name]).any()}


def test_each_step_trains_its_own_network(rand):
    """The generator's step runs the discriminator in training mode: its statistics move on, its weights do not."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    mask = np.ones((2, 1, SIZE, SIZE), np.float32)
    mask[..., 40:90, 30:80] = 0
    image, gray = ops.tanh(rand(2, 3, SIZE, SIZE)), ops.sigmoid(rand(2, 1, SIZE, SIZE))
    edge, mask = (gray > 0.8).astype(ms.float32), Tensor(mask)
    generator, discriminator = Generator(WIDTH), Discriminator(WIDTH)
    weights = loss_weights(LossWeights, "ctsdg", perceptual=0, style=0)
    loss = GeneratorLoss(generator, discriminator, None, weights, "l1", 50)
    generator_step = TrainOneStepCell(loss.set_train(), nn.Adam(generator.trainable_params(), 2e-4))
    discriminator_step = nn.TrainOneStepCell(
        DiscriminatorLoss(discriminator), nn.Adam(discriminator.trainable_params(), 2e-5)
    ).set_train()

    before = snapshot(generator), snapshot(discriminator)
    _, _, output, _ = generator_step(image, mask, edge, gray)
    between = snapshot(generator), snapshot(discriminator)
    statistics = {"moving_mean", "moving_variance"}
    assert changed(before[0], between[0]) > {"weight", "bias", "gamma", "beta", *statistics}
    assert changed(before[1], between[1]) == {"u", "v", *statistics}

    discriminator_step(image, output, edge, gray).asnumpy()
    after = snapshot(generator), snapshot(discriminator)
    assert changed(between[0], after[0]) == set()
    assert changed(between[1], after[1]) == {"weight", "bias", "gamma", "beta", "u", "v", *statistics}
