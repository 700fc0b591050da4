import numpy as np
import pytest
from mindspore import Tensor

from src.dgts.upsampler.discriminator import Discriminator, instance_norm
from src.dgts.upsampler.network import Upsampler, masked_input

WIDTH = 0.1


def test_input_has_holes_at_one_and_the_hole_map(mode):
    image = Tensor(np.full((1, 3, 1, 2), -0.5, np.float32))
    mask = Tensor(np.array([[[[1, 0]]]], np.float32))
    expected = np.array([[-0.5, 1], [-0.5, 1], [-0.5, 1], [0, 1]])
    np.testing.assert_array_equal(masked_input(image, mask).asnumpy()[0, :, 0], expected)


@pytest.mark.parametrize("size", [128, 256])
def test_eight_times_the_size(rand, size):
    upsampler = Upsampler(WIDTH).set_train(False)
    output = upsampler(rand(1, 4, size, size), rand(1, 3, size // 8, size // 8)).asnumpy()
    assert output.shape == (1, 3, size, size)
    assert np.abs(output).max() <= 1


def test_what_is_under_the_hole_does_not_matter(rand):
    image, other = rand(1, 3, 128, 128), rand(1, 3, 128, 128)
    mask = Tensor(np.indices((128, 128)).sum(0).astype(np.float32).reshape(1, 1, 128, 128) % 2)
    masked, same = masked_input(image, mask), masked_input(image * mask + other * (1 - mask), mask)
    np.testing.assert_array_equal(masked.asnumpy(), same.asnumpy())


def test_images_of_a_batch_do_not_mix(rand):
    upsampler = Upsampler(WIDTH).set_train(False)
    masked, low = rand(2, 4, 128, 128), rand(2, 3, 16, 16)
    both = upsampler(masked, low).asnumpy()
    np.testing.assert_allclose(both[1:], upsampler(masked[1:], low[1:]).asnumpy(), atol=1e-5)


def test_the_published_size():
    assert sum(p.size for p in Upsampler().trainable_params()) == pytest.approx(24.6e6, rel=5e-3)


def test_instance_norm(mode, rand):
    normed = instance_norm(2.0 * rand(2, 3, 8, 8) + 1.0).asnumpy()
    np.testing.assert_allclose(normed.mean((2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(normed.var((2, 3)), 1, atol=1e-4)


def test_the_discriminator_judges_two_scales(mode, rand):
    predictions = Discriminator(WIDTH)(rand(2, 3, 128, 128))
    assert [prediction.shape for prediction in predictions] == [(2, 1, 14, 14), (2, 1, 6, 6)]


def test_the_second_scale_sees_means_of_what_is_there(mode, rand):
    """An image of one colour stays so: what lies beyond its border is not counted."""
    halved = Discriminator(WIDTH).halve(Tensor(np.full((1, 3, 8, 8), 0.5, np.float32))).asnumpy()
    np.testing.assert_allclose(halved, 0.5, atol=1e-6)
