"""Dropout that follows from a key."""

import mindspore as ms
import numpy as np
from mindspore import Tensor

from src.layers.dropout import ODD, Dropout


def dropped(shape: tuple, key: int, p: float = 0.1) -> np.ndarray:
    """1 where a number was dropped."""
    dropout = Dropout(p).set_train()
    out = dropout(ms.ops.ones(shape, ms.float32), Tensor(key, ms.int32)).asnumpy()
    np.testing.assert_allclose(out[out != 0], 1 / (1 - p), rtol=1e-6)
    return (out == 0).astype(float)


def test_the_share_that_is_dropped(mode):
    for p in (0.1, 0.5):
        zero = dropped((4, 8, 64, 64), 3, p)
        assert abs(zero.mean() - p) < 0.01
        assert np.abs(zero.mean(axis=(0, 1, 2)) - p).max() < 0.06  # no column or row is favoured
        assert np.abs(zero.mean(axis=(0, 1, 3)) - p).max() < 0.06


def test_a_key_repeats_itself_and_keys_are_independent(mode):
    zeros = [dropped((2, 128, 96), key) for key in range(12)]
    np.testing.assert_array_equal(zeros[5], dropped((2, 128, 96), 5))
    correlations = np.corrcoef([zero.ravel() for zero in zeros]) - np.eye(12)
    assert np.abs(correlations).max() < 0.03
    rows = np.corrcoef(zeros[0].reshape(256, 96)) - np.eye(256)
    assert abs(rows.mean()) < 0.01


def test_it_is_a_hash_of_32_bits():
    """So every device drops the same, and so did runs of before."""

    def scramble(x: np.ndarray) -> np.ndarray:
        return (x ^ (x >> 15)) * np.int32(0x2C1B3C6D)

    rows, columns, odd = np.arange(64, dtype=np.int32)[:, None], np.arange(96, dtype=np.int32), np.int32(ODD)
    hashed = scramble(scramble(rows * odd + scramble(np.array([3], np.int32))) + columns * odd)
    np.testing.assert_array_equal(dropped((2, 32, 96), 3), (hashed >= 2**31 - 0.1 * 2**32).reshape(2, 32, 96))


def test_gradients_pass_where_numbers_do(mode, rand):
    dropout, x, key = Dropout(0.3).set_train(), rand(4, 16), Tensor(1, ms.int32)
    grad = ms.grad(lambda x: dropout(x, key).sum())(x) if mode == "pynative" else ms.grad(dropout)(x, key)
    np.testing.assert_allclose(grad.asnumpy(), (dropout(x, key) / x).asnumpy(), rtol=1e-5)


def test_evaluation_keeps_everything(mode, rand):
    x = rand(2, 3, 4)
    np.testing.assert_array_equal(Dropout(0.5).set_train(False)(x, 0).asnumpy(), x.asnumpy())
    np.testing.assert_array_equal(Dropout(0.0).set_train()(x, 0).asnumpy(), x.asnumpy())
