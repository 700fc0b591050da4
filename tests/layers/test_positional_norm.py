import numpy as np
import pytest

from src.layers.positional_norm import positional_norm
from src.layers.resize import upsample_nearest


def test_every_pixel_has_mean_zero_and_unbiased_variance_one(mode, rand):
    normed = positional_norm(3.0 * rand(2, 16, 4, 6) + 5.0).asnumpy()
    np.testing.assert_allclose(normed.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(normed.var(1, ddof=1), 1, atol=1e-4)


def test_doubling_before_or_after_is_the_same(mode, rand):
    x = rand(1, 8, 3, 3)
    before, after = positional_norm(upsample_nearest(x)), upsample_nearest(positional_norm(x))
    np.testing.assert_allclose(before.asnumpy(), after.asnumpy(), atol=1e-6)


def test_it_is_torchs(mode, rand):
    torch = pytest.importorskip("torch")
    x = rand(2, 5, 3, 4)
    reference = torch.from_numpy(x.asnumpy())
    expected = (reference - reference.mean(1, keepdim=True)) / (reference.var(1, keepdim=True) + 1e-5).sqrt()
    np.testing.assert_allclose(positional_norm(x).asnumpy(), expected.numpy(), atol=1e-6)
