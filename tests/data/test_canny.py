"""The edges of src/data/canny.py are skimage's, pixel by pixel."""

import numpy as np
import pytest
from skimage import data
from skimage.feature import canny as published

from src.data.canny import canny
from src.data.edges import EDGE_MODES, gray_image
from src.data.masks import draw_mask


@pytest.mark.parametrize("edge_mode", EDGE_MODES)
@pytest.mark.parametrize("sigma", [0.7, 2.0])
def test_edges_of_images_are_skimages(sigma, edge_mode):
    image, rng, found = data.astronaut(), np.random.default_rng(0), 0
    for _ in range(25):
        height, width = rng.integers(20, 257, 2)
        y, x = rng.integers(512 - height + 1), rng.integers(512 - width + 1)
        gray = gray_image(image[y : y + height, x : x + width], edge_mode)
        known = draw_mask(rng, 256, 0.05, 0.6)[0, :height, :width] == 1
        for mask in (None, known):
            expected = published(gray, sigma=sigma, mask=mask)
            np.testing.assert_array_equal(canny(gray, sigma, mask), expected)
            np.testing.assert_array_equal(canny(gray, sigma, mask, exact=False), expected)
            found += expected.sum()
    assert found > 10_000


def test_so_are_those_of_images_in_which_neighbours_are_often_equal():
    """There a rounding in another order would decide otherwise."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        gray = rng.integers(0, 3, rng.integers(1, 30, 2)) / 2
        gray = gray.repeat(2, axis=0).repeat(3, axis=1)
        known, sigma = rng.random(gray.shape) < 0.9, rng.choice([0.3, 1.0, 2.0])
        np.testing.assert_array_equal(canny(gray, sigma), published(gray, sigma=sigma))
        np.testing.assert_array_equal(canny(gray, sigma, known), published(gray, sigma=sigma, mask=known))


@pytest.mark.parametrize("known", [np.zeros((9, 9), bool), np.ones((9, 9), bool)])
def test_a_plain_image_has_no_edges(known):
    assert not canny(np.full((9, 9), 0.5), 2.0, known).any()
