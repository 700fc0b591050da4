"""What is known of a map, continued into its holes."""

import numpy as np
import pytest
from mindspore import Tensor

from src.data.laplace import solve_laplace
from src.layers.membrane import Membrane
from tests.parity.gradients import gradients


@pytest.fixture
def known():
    """Two masks: strokes and a square; nothing known but a corner."""
    known = np.ones((2, 1, 128, 128), np.float32)
    known[0, :, 20:30, 10:100] = known[0, :, 50:110, 40:100] = known[0, :, 120:] = 0
    known[1, :, 4:, :] = known[1, :, :, 4:] = 0
    return Tensor(known)


def test_what_is_known_stays_and_holes_do_not_count(mode, rand, known):
    values = rand(2, 3, 128, 128)
    result = Membrane()(values, known).asnumpy()
    everywhere = np.broadcast_to(known.asnumpy() == 1, result.shape)
    np.testing.assert_array_equal(result[everywhere], values.asnumpy()[everywhere])
    other = Membrane()(values + 9.0 * (1.0 - known), known).asnumpy()
    np.testing.assert_array_equal(result, other)


def test_one_value_goes_on_as_it_is(mode, known):
    values = np.full((2, 3, 128, 128), 0.75, np.float32)
    np.testing.assert_allclose(Membrane()(Tensor(values), known).asnumpy(), values, atol=1e-5)


def test_nothing_known_gives_nothing(mode, rand):
    result = Membrane()(rand(1, 2, 128, 256), Tensor(np.zeros((1, 1, 128, 256), np.float32))).asnumpy()
    np.testing.assert_array_equal(result, np.zeros((1, 2, 128, 256)))


def test_it_is_near_the_solution_of_laplaces_equation(known):
    """On a map as smooth as an image, within 0.2 % of the values' range in the mean, 2 % anywhere."""
    y, x = np.mgrid[:128, :128] / 128
    values = (np.sin(5 * x + 2 * y) + np.cos(7 * y)).astype(np.float32)
    found = Membrane()(Tensor(values[None, None]), known[:1]).asnumpy()[0, 0]
    error = np.abs(found - solve_laplace(values[..., None], known.asnumpy()[0, 0] == 0)[..., 0])
    assert error.mean() < 0.002 * np.ptp(values)
    assert error.max() < 0.02 * np.ptp(values)


def test_its_gradient_is_that_of_a_linear_map(mode, rand, known):
    """<M(a), b> = <a, M'(b)>"""
    values, upstream = rand(2, 3, 128, 128), rand(2, 3, 128, 128)
    membrane = Membrane()
    grad, _ = gradients(membrane, (values, known), upstream)
    forward = np.vdot(membrane(values, known).asnumpy().astype(float), upstream.asnumpy())
    assert np.vdot(values.asnumpy().astype(float), grad) == pytest.approx(forward, rel=1e-5)
