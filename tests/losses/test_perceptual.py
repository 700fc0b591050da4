import numpy as np
import pytest
from mindspore import Tensor

from src.losses.perceptual import VGG16Features, gram, perceptual_loss, style_loss


def test_gram_by_hand(mode):
    features = Tensor(np.array([[[[1, 2]], [[3, 4]]]], np.float32))  # two channels, (1, 2) and (3, 4)
    np.testing.assert_allclose(gram(features).asnumpy(), [[[5 / 4, 11 / 4], [11 / 4, 25 / 4]]])  # over C·H·W = 4


def test_style_does_not_see_where_things_are(mode, rand):
    features = rand(1, 3, 4, 4)
    moved = Tensor(features.asnumpy()[..., ::-1].copy())
    assert float(style_loss((features,), (moved,)).asnumpy()) == pytest.approx(0, abs=1e-6)
    assert float(perceptual_loss((features,), (moved,)).asnumpy()) > 0.5


def test_levels_add_up(mode, rand):
    a, b = (rand(1, 2, 4, 4), rand(1, 3, 2, 2)), (rand(1, 2, 4, 4), rand(1, 3, 2, 2))
    expected = sum(np.abs(x.asnumpy() - y.asnumpy()).mean() for x, y in zip(a, b, strict=True))
    assert float(perceptual_loss(a, b).asnumpy()) == pytest.approx(expected, rel=1e-5)


def test_vgg16_gives_three_levels_and_does_not_train(mode, rand):
    vgg = VGG16Features()
    assert [level.shape for level in vgg(rand(1, 3, 32, 16))] == [(1, 64, 16, 8), (1, 128, 8, 4), (1, 256, 4, 2)]
    assert vgg.trainable_params() == []
