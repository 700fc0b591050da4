import numpy as np
import pytest
from mindspore import Tensor, nn

from src.layers.spectral_norm import SpectralNormConv2d
from tests.parity.gradients import gradients


def largest_singular_value(conv: SpectralNormConv2d) -> float:
    return np.linalg.svd(conv.weight.asnumpy().reshape(conv.weight.shape[0], -1), compute_uv=False)[0]


def vectors(conv: SpectralNormConv2d) -> tuple[np.ndarray, np.ndarray]:
    return conv.u.asnumpy().copy(), conv.v.asnumpy().copy()


def test_after_some_iterations_the_kernel_has_norm_one(mode, rand):
    conv = SpectralNormConv2d(3, 6, 3).set_train()
    for _ in range(60):
        conv(rand(1, 3, 4, 4))
    u, v = vectors(conv)
    sigma = u @ conv.weight.asnumpy().reshape(6, -1) @ v
    assert largest_singular_value(conv) / sigma == pytest.approx(1, abs=1e-3)


def test_a_new_kernel_has_about_norm_one(mode, rand):
    conv = SpectralNormConv2d(3, 6, 3)
    u, v = vectors(conv)
    assert u @ conv.weight.asnumpy().reshape(6, -1) @ v == pytest.approx(largest_singular_value(conv), rel=0.05)


def test_vectors_move_in_training_alone(mode, rand):
    conv, x = SpectralNormConv2d(3, 6, 3).set_train(), rand(1, 3, 4, 4)
    before = vectors(conv)
    conv(x).asnumpy()
    trained = vectors(conv)
    assert all((old != new).any() for old, new in zip(before, trained, strict=True))
    assert all(np.linalg.norm(vector) == pytest.approx(1, abs=1e-5) for vector in trained)

    conv.set_train(False)
    conv(x).asnumpy()
    assert all((old == new).all() for old, new in zip(trained, vectors(conv), strict=True))


class Twice(nn.Cell):
    """Two calls in one forward, as a discriminator's step judges a real and a generated image."""

    def __init__(self, conv: SpectralNormConv2d) -> None:
        super().__init__()
        self.conv = conv

    def construct(self, x: Tensor, y: Tensor) -> Tensor:
        return self.conv(x) + 2.0 * self.conv(y)


def test_three_calls_in_training_go_as_in_torch(mode, rand):
    torch = pytest.importorskip("torch")
    conv = SpectralNormConv2d(3, 4, 4, stride=2, padding=1).set_train()
    reference = torch.nn.Conv2d(3, 4, 4, 2, 1, bias=False)
    reference.weight.data = torch.from_numpy(conv.weight.asnumpy().copy())
    reference = torch.nn.utils.spectral_norm(reference)
    reference.weight_u, reference.weight_v = (torch.from_numpy(vector) for vector in vectors(conv))

    first, x, y, upstream = rand(1, 3, 8, 8), rand(1, 3, 8, 8), rand(1, 3, 8, 8), rand(1, 4, 4, 4)
    found = conv(first).asnumpy()
    grads = gradients(Twice(conv), (x, y), upstream, conv.weight)

    def to_torch(tensor):
        return torch.from_numpy(tensor.asnumpy()).requires_grad_()

    x, y = to_torch(x), to_torch(y)
    np.testing.assert_allclose(found, reference(to_torch(first)).detach().numpy(), atol=1e-5)
    ((reference(x) + 2 * reference(y)) * to_torch(upstream)).sum().backward()
    for ours, theirs in zip(grads, (x.grad, y.grad, reference.weight_orig.grad), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)
    for ours, theirs in zip(vectors(conv), (reference.weight_u, reference.weight_v), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)
