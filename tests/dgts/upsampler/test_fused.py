import numpy as np
import pytest
from mindspore import Tensor

from src.dgts.upsampler.fused import fuse
from src.dgts.upsampler.network import Upsampler

WIDTH = 0.1


@pytest.fixture
def upsamplers():
    """Two of the same weights, with biases, norms and statistics away from the zeros and ones that they start with."""
    rng, networks = np.random.default_rng(0), [Upsampler(WIDTH).set_train(False) for _ in range(2)]
    for parameter, other in zip(*(network.get_parameters() for network in networks), strict=True):
        value = parameter.asnumpy()
        if value.ndim <= 1 and not parameter.name.endswith((".u", ".v")):
            value = np.float32(value + rng.uniform(0.1, 0.5, value.shape))
        parameter.set_data(Tensor(value))
        other.set_data(Tensor(value))
    return networks


def test_the_same_output(mode, rand, upsamplers):
    inputs, (plain, fused) = (rand(2, 4, 128, 128), rand(2, 3, 16, 16)), upsamplers
    expected = plain(*inputs).asnumpy()
    np.testing.assert_allclose(fuse(fused)(*inputs).asnumpy(), expected, atol=1e-5)
    assert expected.std() > 0.01


def test_norms_are_left_in_the_attention_alone(upsamplers):
    norms = ("u", "v", "moving_mean", "moving_variance")
    left = [name for name, _ in fuse(upsamplers[0]).parameters_and_names() if name.split(".")[-1] in norms]
    assert left and all(name.startswith("attention.") for name in left)
