import numpy as np
import pytest
from mindspore import ops

from src.ctsdg import Discriminator

WIDTH = 0.1


@pytest.fixture
def batch(rand):
    """A batch of two: image, edge, gray."""
    return rand(2, 3, 64, 96).clip(-1, 1), rand(2, 1, 64, 96).clip(0, 1), rand(2, 1, 64, 96).clip(0, 1)


@pytest.fixture
def discriminator(batch):
    """In evaluation, after a few calls in training have brought its spectral norms close."""
    network = Discriminator(WIDTH).set_train()
    for _ in range(5):
        network(*batch)
    return network.set_train(False)


def test_shapes_and_ranges(mode, discriminator, batch):
    predictions, detected = (result.asnumpy() for result in discriminator(*batch))
    assert predictions.shape == (2, 2, 64 // 8 - 2, 96 // 8 - 2)
    assert detected.shape == (2, 1, 64, 96)
    for result in (predictions, detected):
        assert 0 < result.min() < result.max() < 1


def test_a_generated_image_is_judged_by_its_detected_edges(discriminator, batch):
    image, edge, gray = batch
    by_itself, detected = discriminator(image, None, gray)
    np.testing.assert_allclose(discriminator(image, detected, gray)[0].asnumpy(), by_itself.asnumpy(), atol=1e-6)

    given, still_detected = discriminator(image, edge, gray)
    np.testing.assert_array_equal(still_detected.asnumpy(), detected.asnumpy())
    np.testing.assert_allclose(given[:, 0].asnumpy(), by_itself[:, 0].asnumpy(), atol=1e-6)  # texture sees no edges
    assert np.abs(given[:, 1].asnumpy() - by_itself[:, 1].asnumpy()).max() > 1e-4


def test_gray_reaches_the_structure_branch_alone(discriminator, batch):
    image, edge, gray = batch
    found, other = (discriminator(image, edge, g)[0].asnumpy() for g in (gray, ops.zeros_like(gray)))
    np.testing.assert_array_equal(found[:, 0], other[:, 0])
    assert np.abs(found[:, 1] - other[:, 1]).max() > 1e-4


def test_it_has_as_many_weights_as_the_published_one():
    assert sum(parameter.size for parameter in Discriminator().trainable_params()) == pytest.approx(5.5e6, rel=0.01)


def test_initial_weights_are_pytorchs():
    conv = Discriminator().edge_detector.residual[0]
    bound = 1 / np.sqrt(16 * 3 * 3)
    for parameter in (conv.weight, conv.bias):
        assert 0.5 * bound < np.abs(parameter.asnumpy()).max() <= bound
