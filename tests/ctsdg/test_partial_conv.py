import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.ctsdg.partial_conv import PartialConv, PConvNormAct
from tests.parity.gradients import gradients


def known(*rows: str) -> Tensor:
    """A mask (1, 1, H, W) to look at: `#` is known, `.` the hole."""
    return Tensor(np.array([[[[float(pixel == "#") for pixel in row] for row in rows]]], np.float32))


def test_a_full_mask_makes_it_an_ordinary_convolution(mode, rand):
    features, conv = rand(1, 3, 8, 8), PartialConv((3,), 5, 3)
    found, mask = conv((features,), (ops.ones((1, 1, 8, 8)),))
    ordinary = ops.conv2d(features, conv.conv.weight, None, 1, "pad", 1)
    np.testing.assert_allclose(found[..., 1:-1, 1:-1].asnumpy(), ordinary[..., 1:-1, 1:-1].asnumpy(), atol=1e-5)
    # Beyond the border nothing is known: a corner's window holds 4 pixels of 9.
    np.testing.assert_allclose(found[..., 0, 0].asnumpy(), 9 / 4 * ordinary[..., 0, 0].asnumpy(), atol=1e-5)
    assert (mask.asnumpy() == 1).all()


def test_known_pixels_grow_by_the_kernel(mode, rand):
    mask = known("........", "........", "........", "...#....", "........", "........", "........", "........")
    _, grown = PartialConv((1,), 1, 3)((rand(1, 1, 8, 8),), (mask,))
    assert grown.asnumpy()[0, 0, 2:5, 2:5].all()
    assert grown.asnumpy().sum() == 9
    _, halved = PartialConv((1,), 1, 5, stride=2)((rand(1, 1, 8, 8),), (mask,))
    np.testing.assert_array_equal(halved.asnumpy()[0, 0], [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]])


def test_where_a_window_knows_nothing_the_result_is_zero(mode, rand):
    mask = known("####....", "####....", "####....", "####....")
    found, grown = PartialConv((2,), 3, 3)((rand(1, 2, 4, 8),), (mask,))
    assert (found.asnumpy()[..., 5:] == 0).all()
    assert (found.asnumpy()[..., :5] != 0).all()
    assert (grown.asnumpy()[..., 5:] == 0).all()


def test_what_the_hole_holds_does_not_matter(mode, rand):
    conv = PConvNormAct((3,), 4, 3)
    mask = known("##....##", "##....##", "##....##", "########")
    features = rand(1, 3, 4, 8)
    other = features * mask + 1e3 * (1 - mask)
    np.testing.assert_array_equal(
        conv((features,), (mask,))[0].asnumpy(),
        conv((other,), (mask,))[0].asnumpy(),
    )


def test_a_window_with_few_known_pixels_counts_as_much_as_a_full_one(mode):
    mask = known("#..", "...", "...")
    conv = PartialConv((1,), 1, 3)
    conv.conv.weight.set_data(ops.ones((1, 1, 3, 3)))
    found, _ = conv((ops.ones((1, 1, 3, 3)),), (mask,))
    assert found.asnumpy()[0, 0, 1, 1] == pytest.approx(9)  # one pixel of nine, nine times over


class Joined(nn.Cell):
    """Two feature maps with a mask each."""

    def __init__(self, conv: PartialConv) -> None:
        super().__init__()
        self.conv = conv

    def construct(self, a: Tensor, b: Tensor, mask_a: Tensor, mask_b: Tensor) -> Tensor:
        return self.conv((a, b), (mask_a, mask_b))[0]


@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (5, 2)])
def test_it_equals_the_published_form_and_so_do_its_gradients(mode, rand, kernel_size, stride):
    """The published code convolves a mask of as many channels as the features with kernels of ones."""
    torch = pytest.importorskip("torch")
    a, b, generator = rand(2, 3, 8, 8), rand(2, 2, 8, 8), np.random.default_rng(0)
    masks = [Tensor((generator.random((2, 1, 8, 8)) > 0.7).astype(np.float32)) for _ in range(2)]
    conv = PartialConv((3, 2), 4, kernel_size, stride)
    found, new_mask = conv((a, b), tuple(masks))
    upstream = rand(*found.shape)
    grads = gradients(Joined(conv), (a, b, *masks), upstream, conv.conv.weight)

    def to_torch(tensor):
        return torch.from_numpy(tensor.asnumpy()).requires_grad_()

    a, b, weight = to_torch(a), to_torch(b), to_torch(conv.conv.weight)
    mask = torch.cat([torch.from_numpy(m.asnumpy()).repeat(1, c, 1, 1) for m, c in zip(masks, (3, 2), strict=True)], 1)
    padding = kernel_size // 2
    count = torch.conv2d(mask, torch.ones_like(weight), None, stride, padding)
    expected_mask = count.clamp(0, 1)
    ratio = 5 * kernel_size**2 / (count + 1e-8) * expected_mask
    expected = torch.conv2d(torch.cat((a, b), 1) * mask, weight, None, stride, padding) * ratio
    (expected * torch.from_numpy(upstream.asnumpy())).sum().backward()

    np.testing.assert_array_equal(np.broadcast_to(new_mask.asnumpy(), expected.shape), expected_mask.numpy())
    np.testing.assert_allclose(found.asnumpy(), expected.detach().numpy(), atol=1e-4)
    for ours, theirs in ((grads[0], a), (grads[1], b), (grads[-1], weight)):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), atol=1e-4)


def test_masks_stay_single_channel_float32(mode, rand):
    _, mask = PConvNormAct((4, 3), 8, 3)((rand(1, 4, 4, 4), rand(1, 3, 4, 4)), (ops.ones((1, 1, 4, 4)),) * 2)
    assert (mask.shape, mask.dtype) == ((1, 1, 4, 4), ms.float32)
