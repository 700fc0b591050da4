import numpy as np
import pytest
from mindspore import Tensor

from src.losses.perceptual import VGG19_TAPS as TAPS
from src.losses.perceptual import VGG16Features, VGG19Features, gram, perceptual_loss, style_loss


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


def test_vgg19_gives_the_taps_in_the_order_asked_for(mode, rand):
    vgg = VGG19Features(("relu2_1", "relu1_2", "relu4_4"))
    assert [level.shape for level in vgg(rand(1, 3, 32, 16))] == [(1, 128, 16, 8), (1, 64, 32, 16), (1, 512, 4, 2)]
    assert vgg.trainable_params() == []


def test_one_file_fills_every_vgg19():
    shapes = [{name: p.shape for name, p in VGG19Features(taps).parameters_and_names()} for taps in (TAPS[:1], TAPS)]
    assert shapes[0] == shapes[1]
    assert len(shapes[0]) == 2 * 16


def test_vgg19_is_torchs(mode, rand):
    """Each activation of a chain of convolutions, rectifiers and pools with the same weights."""
    torch = pytest.importorskip("torch")
    vgg, image = VGG19Features(TAPS), rand(1, 3, 32, 32)
    x = torch.from_numpy(image.asnumpy())
    for tap, conv, found in zip(TAPS, vgg.convs, vgg(image), strict=True):
        if tap.endswith("_1") and tap != "relu1_1":
            x = torch.max_pool2d(x, 2)
        x = torch.relu(torch.conv2d(x, *(torch.from_numpy(p.asnumpy()) for p in (conv.weight, conv.bias)), padding=1))
        np.testing.assert_allclose(found.asnumpy(), x.numpy(), rtol=0, atol=1e-4 * x.abs().max(), err_msg=tap)


def test_a_tap_that_is_not_there():
    with pytest.raises(ValueError, match="relu6_1"):
        VGG19Features(("relu6_1",))
