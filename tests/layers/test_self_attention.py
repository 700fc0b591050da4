import numpy as np
import pytest
from mindspore import Tensor

from src.layers.self_attention import SelfAttention


def test_at_initialisation_it_changes_nothing(mode, rand):
    x = rand(2, 16, 4, 6)
    np.testing.assert_array_equal(SelfAttention(16)(x).asnumpy(), x.asnumpy())


def test_every_pixel_sees_the_whole_map(mode, rand):
    attention, x = SelfAttention(16).set_train(False), rand(1, 16, 8, 8)
    attention.gamma.set_data(Tensor(1.0))
    changed = x.asnumpy().copy()
    changed[..., 7, 7] += 10
    difference = np.abs(attention(Tensor(changed)).asnumpy() - attention(x).asnumpy()).max(1)
    assert (difference > 1e-6).all()


def test_it_is_the_published_formula(mode, rand):
    torch = pytest.importorskip("torch")
    attention, x = SelfAttention(16).set_train(False), rand(2, 16, 4, 6)
    attention.gamma.set_data(Tensor(0.5))

    def conv(cell, x):
        matrix = cell.weight.asnumpy()[..., 0, 0]
        sigma = cell.u.asnumpy() @ matrix @ cell.v.asnumpy()
        return torch.einsum("oi,bihw->bohw", torch.from_numpy(matrix / sigma), x)

    image = torch.from_numpy(x.asnumpy())
    query = conv(attention.query, image).flatten(2)
    key = torch.max_pool2d(conv(attention.key, image), 2).flatten(2)
    value = torch.max_pool2d(conv(attention.value, image), 2).flatten(2)
    weights = torch.softmax(torch.einsum("bcq,bck->bqk", query, key), -1)
    attended = torch.einsum("bck,bqk->bcq", value, weights).reshape(2, 8, 4, 6)
    expected = image + 0.5 * conv(attention.out, attended)
    np.testing.assert_allclose(attention(x).asnumpy(), expected.numpy(), atol=1e-4)
