"""The upsampler's losses on a network a tenth as wide."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.dgts.upsampler.discriminator import Discriminator
from src.dgts.upsampler.loss import (
    UPSAMPLER_TERMS,
    VGG_TAPS,
    DiscriminatorLoss,
    UpsamplerLoss,
    UpsamplerLossWeights,
    caffe_input,
    masked_l1,
)
from src.dgts.upsampler.network import Upsampler
from src.losses.perceptual import VGG19Features
from src.training.train_step import TrainOneStepCell
from tests.defaults import loss_weights

WIDTH = 0.1
WITHOUT_VGG = loss_weights(UpsamplerLossWeights, "upsampler", vgg=0.0, perceptual=0.0)


@pytest.fixture
def batch(rand) -> tuple[Tensor, Tensor, Tensor]:
    mask = np.ones((2, 1, 128, 128), np.float32)
    mask[:, :, 32:64, 32:64] = 0
    return ms.ops.clamp(rand(2, 3, 128, 128), -1, 1), Tensor(mask), ms.ops.clamp(rand(2, 3, 16, 16), -1, 1)


def test_caffe_input_by_hand(mode):
    image = Tensor(np.array([1.0, 0.0, -1.0], np.float32).reshape(1, 3, 1, 1))  # red, green, blue
    expected = 255 * (np.array([0.0, 0.5, 1.0]) - [0.40760392, 0.45795686, 0.48501961])
    np.testing.assert_allclose(caffe_input(image).asnumpy().ravel(), expected, rtol=1e-6)


def test_masked_l1_is_the_mean_where_the_mask_is(mode, rand):
    a, b, mask = rand(1, 3, 2, 2), rand(1, 3, 2, 2), Tensor(np.array([[[[1, 0], [0, 1]]]], np.float32))
    inside = np.abs(a.asnumpy() - b.asnumpy())[..., [0, 1], [0, 1]]
    assert float(masked_l1(a, b, mask).asnumpy()) == pytest.approx(inside.mean(), rel=1e-5)
    assert float(masked_l1(a, b, 0 * mask).asnumpy()) == 0


def test_the_total_is_the_weighted_sum(batch):
    weights = UpsamplerLossWeights(adversarial=2.0, vgg=3.0, perceptual=0.5, hole=5.0, valid=7.0)
    losses = UpsamplerLoss(Upsampler(WIDTH), Discriminator(WIDTH), VGG19Features(VGG_TAPS), weights)
    total, terms, output = losses.set_train(False)(*batch)
    assert output.shape == (2, 3, 128, 128)
    terms = {name: float(term.asnumpy()) for name, term in zip(UPSAMPLER_TERMS, terms, strict=True)}
    factors = {"gan": 2, "vgg": 3, "perceptual": 0.5, "hole": 5, "valid": 7}
    expected = sum(factors[name] * term for name, term in terms.items())
    assert float(total.asnumpy()) == pytest.approx(expected, rel=1e-5)


def test_without_weights_no_vgg_is_needed(batch):
    with pytest.raises(ValueError, match="need VGG19"):
        UpsamplerLoss(Upsampler(WIDTH), Discriminator(WIDTH), None, loss_weights(UpsamplerLossWeights, "upsampler"))
    _, terms, _ = UpsamplerLoss(Upsampler(WIDTH), Discriminator(WIDTH), None, WITHOUT_VGG)(*batch)
    assert dict(zip(UPSAMPLER_TERMS, terms, strict=True))["vgg"] == 0


def test_each_step_moves_its_own_network(batch):
    upsampler, discriminator = Upsampler(WIDTH), Discriminator(WIDTH)
    loss = UpsamplerLoss(upsampler, discriminator, None, WITHOUT_VGG).set_train()
    step = TrainOneStepCell(loss, nn.Adam(upsampler.trainable_params(), 1e-3))
    discriminator_step = nn.TrainOneStepCell(
        DiscriminatorLoss(upsampler, discriminator), nn.Adam(discriminator.trainable_params(), 1e-3)
    ).set_train()

    def weights(network: nn.Cell) -> list[np.ndarray]:
        return [p.asnumpy().copy() for p in network.trainable_params()]

    def same(before: list, network: nn.Cell) -> bool:
        return all((a == b).all() for a, b in zip(before, weights(network), strict=True))

    def batch_norms() -> list[np.ndarray]:
        return [p.asnumpy().copy() for n, p in upsampler.parameters_and_names() if n.endswith("moving_mean")]

    before = weights(upsampler), weights(discriminator)
    step(*batch)[0].asnumpy()
    assert not same(before[0], upsampler)
    assert same(before[1], discriminator)

    before, statistics = (weights(upsampler), weights(discriminator)), batch_norms()
    discriminator_step(*batch).asnumpy()
    assert same(before[0], upsampler)
    assert not same(before[1], discriminator)
    # The image was generated again, in training mode.
    assert all((a != b).any() for a, b in zip(statistics, batch_norms(), strict=True))
