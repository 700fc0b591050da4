import numpy as np

from src.data.laplace import solve_laplace


def test_harmonic_pixels_are_the_means_of_their_neighbours():
    rng = np.random.default_rng(0)
    values, hole = rng.random((13, 17, 2)), rng.random((13, 17)) < 0.6
    solved = solve_laplace(values, hole)
    np.testing.assert_array_equal(solved[~hole], values[~hole])
    padded = np.pad(solved, ((1, 1), (1, 1), (0, 0)), constant_values=np.nan)
    neighbours = [padded[1 + dy :, 1 + dx :][:13, :17] for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1))]
    np.testing.assert_allclose(solved[hole], np.nanmean(neighbours, axis=0)[hole], atol=1e-12)
    assert np.ptp(solved[hole]) > 0.3
