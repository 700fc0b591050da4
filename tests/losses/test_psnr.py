import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops
from skimage.metrics import peak_signal_noise_ratio

from src.losses.psnr import hole_psnr


@pytest.fixture
def hole():
    """Of two images of 16×16; the second is all hole."""
    hole = np.zeros((2, 1, 16, 16), np.float32)
    hole[0, :, 4:10, 6:14] = hole[1] = 1
    return hole


def test_it_is_scikit_images_over_the_holes(mode, rand, hole):
    image, output = ops.tanh(rand(2, 3, 16, 16)), ops.tanh(rand(2, 3, 16, 16))
    inside = np.broadcast_to(hole == 1, (2, 3, 16, 16))
    pairs = [(image.asnumpy()[i][inside[i]], output.asnumpy()[i][inside[i]]) for i in range(2)]
    expected = np.mean([peak_signal_noise_ratio(*pair, data_range=2) for pair in pairs])
    assert float(hole_psnr(output, image, Tensor(hole), 50).asnumpy()) == pytest.approx(expected, abs=1e-3)


def test_what_is_known_does_not_count_and_nothing_is_infinite(mode, rand, hole):
    image = ops.tanh(rand(2, 3, 16, 16))
    hole[1] = 0
    output = image + 0.5 * Tensor(1 - hole)
    assert float(hole_psnr(output, image, Tensor(hole), 50).asnumpy()) == pytest.approx(50, abs=1e-4)
    grad = ms.grad(hole_psnr)(output, image, Tensor(hole), 50).asnumpy()
    np.testing.assert_array_equal(grad, np.zeros_like(grad))


def test_a_small_error_in_a_smooth_image_weighs_as_much_as_a_large_one_in_a_rough_image(mode, rand, hole):
    hole[1] = hole[0]
    image, error = ops.tanh(rand(1, 3, 16, 16)).tile((2, 1, 1, 1)), rand(1, 3, 16, 16).asnumpy()
    error = Tensor(np.concatenate([0.1 * error, error]))
    grad = ms.grad(hole_psnr)(image + error, image, Tensor(hole), 50).asnumpy()
    fall = (grad * error.asnumpy()).sum((1, 2, 3))  # by how much it falls where an error grows by its own size
    assert fall == pytest.approx(-10 / np.log(10), rel=1e-2)
