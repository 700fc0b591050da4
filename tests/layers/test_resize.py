import numpy as np
import pytest
from mindspore import Tensor, ops

from src.layers.resize import UpsampleBilinear, over_channels, upsample_nearest


def test_bilinear_at_half_pixels_or_aligned_corners(mode):
    row = Tensor(np.array([[[[0.0, 4.0]]]], np.float32))
    np.testing.assert_allclose(UpsampleBilinear()(row).asnumpy()[0, 0, 0], [0, 1, 3, 4])
    np.testing.assert_allclose(UpsampleBilinear(True)(row).asnumpy()[0, 0, 0], [0, 4 / 3, 8 / 3, 4], rtol=1e-6)


@pytest.mark.parametrize("align_corners", [False, True])
def test_bilinear_is_torchs(mode, rand, align_corners):
    torch = pytest.importorskip("torch")
    x = rand(2, 3, 5, 7)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(x.asnumpy()), scale_factor=2, mode="bilinear", align_corners=align_corners
    )
    np.testing.assert_allclose(UpsampleBilinear(align_corners)(x).asnumpy(), expected.numpy(), atol=1e-5)


def test_nearest_doubles_every_pixel(mode, rand):
    x = rand(1, 2, 3, 4)
    np.testing.assert_array_equal(upsample_nearest(x).asnumpy(), x.asnumpy().repeat(2, axis=2).repeat(2, axis=3))


def test_a_map_repeats_over_channels(mode, rand):
    x = rand(2, 1, 3, 3)
    np.testing.assert_array_equal(over_channels(x, 4).asnumpy(), ops.cat([x] * 4, axis=1).asnumpy())
