from pathlib import Path

import numpy as np
import pytest
from skimage.color import rgb2gray

from src.data.edges import EDGE_MODES, WRAPPED, edge_and_gray, edge_map, gray_image
from src.data.images import load_image
from src.errors import InputError

PARITY = Path(__file__).parents[1] / "fixtures" / "preprocessing"


@pytest.mark.parametrize(("case", "center_crop"), [("resize", 0), ("center_crop_178", 178)])
def test_edge_and_gray_equal_the_published_preprocessing(case, center_crop):
    edge, gray = edge_and_gray(load_image(PARITY / "images" / "000001.png", 256, center_crop), "published", 2.0)
    expected = np.load(PARITY / "expected.npz")
    np.testing.assert_array_equal(edge, expected[f"{case}.edge"])
    np.testing.assert_allclose(gray, expected[f"{case}.gray"], atol=1e-6)
    assert edge.dtype == gray.dtype == np.float32


def test_published_values_wrap_as_on_x86():
    assert [WRAPPED[v] for v in (0, 1, 2, 128, 254, 255)] == [1, 3, 5, 1, 253, 255]  # 2v - 255 mod 256
    assert WRAPPED[64] == 130  # float32 has -126.99999 for 2 · 64 - 255, which truncates to -126


def test_the_product_truncates_as_in_torch():
    torch = pytest.importorskip("torch")
    normalised = (torch.arange(256, dtype=torch.uint8).float().div(255) - 0.5) / 0.5
    product = normalised.mul(255).numpy().astype(np.int64)  # the cast to uint8 itself differs between hosts
    np.testing.assert_array_equal(WRAPPED, product % 256)


def test_clean_gray_is_the_image_itself():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(gray_image(image, "clean"), rgb2gray(image))
    assert np.abs(gray_image(image, "published") - rgb2gray(image)).max() > 0.1
    with pytest.raises(InputError, match="published, clean"):
        gray_image(image, "dirty")


@pytest.mark.parametrize("edge_mode", EDGE_MODES)
def test_edges_lie_where_the_brightness_steps(edge_mode):
    gray = np.zeros((32, 32))
    gray[:, 16:] = 1
    edge = edge_map(gray, edge_mode, 2.0)
    assert set(np.flatnonzero(edge.any(axis=0))) <= {15, 16}
    assert edge[4:-4].max(axis=1).all()
    assert edge_map(np.zeros((32, 32)), edge_mode, 2.0).sum() == 0


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_clean_edges_are_those_of_known_pixels(sigma):
    image, other = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    known = np.ones((64, 64), bool)
    known[20:40, 10:50] = known[:, 60:] = False
    other[known] = image[known]
    edges = [edge_and_gray(image, "clean", sigma, known)[0] for image in (image, other)]
    np.testing.assert_array_equal(*edges)
    assert edges[0].any()
    assert not edges[0][0, ~known].any()
    far = np.s_[0, 52:, :8]  # what lies far from holes is found as without them
    np.testing.assert_array_equal(edges[0][far], edge_map(gray_image(image, "clean"), "clean", sigma)[far[1:]])

    published = [edge_and_gray(image, "published", sigma, known)[0] for image in (image, other)]
    np.testing.assert_array_equal(published[0][0], edge_map(gray_image(image, "published"), "published", sigma))
    assert (published[0] != published[1])[0, known].any()
