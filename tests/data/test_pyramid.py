import numpy as np
import pytest

from src.data.holes import LARGEST_SHARE, coarser_filling, draw_window
from src.data.pyramid import depth, double, fill_radius, halve


def hole_in(height: int, width: int) -> np.ndarray:
    hole = np.zeros((height, width), bool)
    hole[height // 4 : height // 2, width // 3 : width // 2 + 1] = True
    return hole


def test_depth_is_the_distance_to_the_nearest_known_pixel():
    hole = np.zeros((9, 20), bool)
    hole[2:7, 3:17] = True
    found = depth(hole)
    assert (found[~hole] == 0).all()
    assert found[4, 10] == 3
    assert found[2, 3] == 1
    assert np.isinf(depth(np.ones((3, 3), bool))).all()


@pytest.mark.parametrize("shape", [(40, 60), (41, 61), (1, 7)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_halving_keeps_what_a_hole_holds_out_of_known_pixels(shape, dtype):
    hole, image = hole_in(*shape), np.full((*shape, 3), 50, dtype)
    image[hole] = 255
    small, known = halve(image, ~hole)
    assert small.shape == (-(-shape[0] // 2), -(-shape[1] // 2), 3)
    np.testing.assert_array_equal(small[known], 50)
    whole = known[: max(1, shape[0] // 2), : shape[1] // 2]  # beyond odd sides nothing is known
    assert abs(whole.mean() - (~hole).mean()) < 0.2


def test_halving_is_the_mean_of_four_and_doubling_gives_it_back_in_place():
    y, x = np.mgrid[:32, :48].astype(np.float32)
    image = np.stack([x, y, x + y], -1)
    small, _ = halve(image, np.ones((32, 48), bool))
    np.testing.assert_array_equal(small[0, 0], [0.5, 0.5, 1])
    whole = double(small, slice(0, 32), slice(0, 48))
    np.testing.assert_allclose(whole[4:-4, 4:-4], image[4:-4, 4:-4], atol=0.2)  # OpenCV's kernel


@pytest.mark.parametrize(("rows", "columns"), [((0, 9), (0, 48)), ((7, 20), (11, 12)), ((30, 32), (40, 47))])
def test_a_part_is_doubled_as_in_the_whole(rows, columns):
    small = np.random.default_rng(0).random((16, 24, 3), dtype=np.float32)
    rows, columns = slice(*rows), slice(*columns)
    whole = double(small, slice(0, 32), slice(0, 48))
    np.testing.assert_allclose(double(small, rows, columns), whole[rows, columns], atol=1e-6)


def test_drawn_holes_are_what_filling_by_scales_asks_for():
    rng, side = np.random.default_rng(0), 128
    deeper = 0
    for _ in range(60):
        band, deep = draw_window(rng, side)
        assert band.any() and not (band & deep).any()
        assert (band | deep).mean() <= LARGEST_SHARE
        deeper += deep.any()
        # Where the whole hole is in sight, what is deep is so by its distance.
        hole = band | deep
        if deep.any() and not (hole[[0, -1]].any() or hole[:, [0, -1]].any()):
            np.testing.assert_array_equal(deep, depth(hole) > fill_radius(side))
    assert 10 < deeper < 50


def test_a_coarser_filling_is_blurred_inside_and_nearly_right():
    rng = np.random.default_rng(0)
    noise = rng.integers(100, 156, (128, 128, 3), np.uint8)
    hole = np.zeros((128, 128), bool)
    hole[20:, 20:] = True
    filling = coarser_filling(rng, noise, hole)
    assert filling.dtype == np.uint8
    assert filling[60:, 60:].std() < 0.5 * noise.std()
    assert abs(float(filling[hole].mean()) - noise.mean()) < 10
