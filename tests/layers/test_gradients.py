"""Cells that write their backward out themselves: each equals PyTorch's."""

import numpy as np
import pytest
from mindspore import nn

from src.layers.activation import LeakyReLU
from src.layers.conv import Conv2d
from src.layers.cpu.conv import Convolution
from src.layers.resize import UpsampleBilinear, upsample_nearest
from tests.parity.gradients import gradients

torch = pytest.importorskip("torch")


def to_torch(tensor):
    return torch.from_numpy(tensor.asnumpy()).requires_grad_()


@pytest.mark.parametrize("size", [8, 64])  # the backward has other forms on large maps
@pytest.mark.parametrize(
    ("in_channels", "out_channels", "kernel_size", "stride", "dilation"),
    [(3, 5, 3, 1, 1), (5, 2, 3, 1, 1), (4, 4, 3, 1, 4), (3, 5, 3, 2, 1), (2, 3, 5, 2, 1), (6, 3, 1, 1, 1)],
)
def test_convolution(mode, rand, in_channels, out_channels, kernel_size, stride, dilation, size):
    conv, x = Conv2d(in_channels, out_channels, kernel_size, stride, dilation), rand(2, in_channels, size, size)
    found = conv(x)
    upstream = rand(*found.shape)
    grads = gradients(conv, (x,), upstream, conv.weight, conv.bias)

    x, weight, bias = to_torch(x), to_torch(conv.weight), to_torch(conv.bias)
    expected = torch.conv2d(x, weight, bias, stride, dilation * (kernel_size // 2), dilation)
    (expected * to_torch(upstream)).sum().backward()
    np.testing.assert_allclose(found.asnumpy(), expected.detach().numpy(), atol=1e-4)
    for ours, theirs in zip(grads, (x.grad, weight.grad, bias.grad), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("narrows", [False, True])
@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (5, 2)])
def test_convolution_of_what_is_too_large_to_be_kept_unfolded(mode, rand, monkeypatch, kernel_size, stride, narrows):
    monkeypatch.setattr(Convolution, "KEPT", 0)
    test_convolution(None, rand, *((5, 2) if narrows else (3, 5)), kernel_size, stride, 1, 24)


def test_leaky_relu(mode, rand):
    x, upstream = rand(2, 3, 4, 4), rand(2, 3, 4, 4)
    activation = LeakyReLU(0.2)
    found = activation(x).asnumpy()
    (grad,) = gradients(activation, (x,), upstream)

    x = to_torch(x)
    expected = torch.nn.functional.leaky_relu(x, 0.2)
    (expected * to_torch(upstream)).sum().backward()
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(grad, x.grad.numpy(), atol=1e-6)


def test_nearest_doubling(mode, rand):
    """No backward of its own, but the one MindSpore derives has to undo two stackings."""
    x, upstream = rand(2, 3, 4, 5), rand(2, 3, 8, 10)
    (grad,) = gradients(Doubling(), (x,), upstream)
    x = to_torch(x)
    (torch.nn.functional.interpolate(x, scale_factor=2) * to_torch(upstream)).sum().backward()
    np.testing.assert_allclose(grad, x.grad.numpy(), atol=1e-6)


@pytest.mark.parametrize("align_corners", [False, True])
def test_bilinear_doubling(mode, rand, align_corners):
    x, upstream = rand(2, 3, 4, 5), rand(2, 3, 8, 10)
    (grad,) = gradients(UpsampleBilinear(align_corners), (x,), upstream)
    x = to_torch(x)
    found = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=align_corners)
    (found * to_torch(upstream)).sum().backward()
    np.testing.assert_allclose(grad, x.grad.numpy(), atol=1e-5)


class Doubling(nn.Cell):
    def construct(self, x):
        return upsample_nearest(x)
