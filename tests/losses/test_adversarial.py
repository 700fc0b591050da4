import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.losses.adversarial import binary_cross_entropy, hinge_discriminator, hinge_generator


def test_cross_entropy_is_torchs_even_at_zero_and_one(mode):
    torch = pytest.importorskip("torch")
    probability = np.array([0.0, 1.0, 0.0, 1.0, 0.3, 0.7, 1e-30, 1 - 1e-7], np.float32)
    target = np.array([0.0, 1.0, 1.0, 0.0, 0.2, 1.0, 1.0, 0.0], np.float32)
    found = binary_cross_entropy(Tensor(probability), Tensor(target))
    expected = torch.nn.functional.binary_cross_entropy(torch.from_numpy(probability), torch.from_numpy(target))
    assert float(found.asnumpy()) == pytest.approx(expected.item(), rel=1e-6)


def test_its_gradient_is_torchs_inside_and_finite_at_the_ends(mode):
    torch = pytest.importorskip("torch")
    probability = np.array([0.3, 0.7, 0.999, 0.0, 1.0, 0.0, 1.0], np.float32)
    target = np.array([0.2, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0], np.float32)
    found = ms.grad(binary_cross_entropy, 0)(Tensor(probability), Tensor(target)).asnumpy()
    assert np.isfinite(found).all()

    leaf = torch.from_numpy(probability).requires_grad_()
    torch.nn.functional.binary_cross_entropy(leaf, torch.from_numpy(target)).backward()
    np.testing.assert_allclose(found[:3], leaf.grad[:3].numpy(), rtol=1e-5)


def test_a_certain_mistake_costs_one_hundred(mode):
    mistake = binary_cross_entropy(Tensor(np.zeros(3, np.float32)), Tensor(np.ones(3, np.float32)))
    assert float(mistake.asnumpy()) == 100


def test_hinge_by_hand(mode):
    real, fake = Tensor(np.array([2.0, 0.0], np.float32)), Tensor(np.array([-3.0, 1.0], np.float32))
    # Real: 0 and 1 below the margin; fake: 0 and 2 above its own.
    assert float(hinge_discriminator((real,), (fake,)).asnumpy()) == 0.5 + 1.0
    assert float(hinge_generator((fake,)).asnumpy()) == 1.0


def test_hinge_is_averaged_over_scales(mode, rand):
    real, fake = (rand(1, 1, 6, 6), rand(1, 1, 2, 2)), (rand(1, 1, 6, 6), rand(1, 1, 2, 2))
    each = [float(hinge_discriminator((r,), (f,)).asnumpy()) for r, f in zip(real, fake, strict=True)]
    assert float(hinge_discriminator(real, fake).asnumpy()) == pytest.approx(np.mean(each), rel=1e-5)
    assert float(hinge_generator(fake).asnumpy()) == pytest.approx(-np.mean([f.asnumpy().mean() for f in fake]))
