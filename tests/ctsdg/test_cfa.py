import numpy as np
import pytest
from mindspore import Tensor, ops

from src.ctsdg.cfa import CFA, MultiScaleFeatureAggregation, RegionAffinityLearning
from src.layers.patch_attention import PatchAttention
from tests.parity.gradients import gradients


def by_convolution(features):
    """Region affinity learning as published: patches are the kernels of a convolution, one sample at a time.

    features: torch (1, C, H, W) -> the same shape
    """
    from torch.nn import functional

    channels = features.shape[1]
    small = functional.interpolate(features, scale_factor=0.5, mode="bilinear", align_corners=True)
    patches = functional.unfold(small, 3, padding=1)[0].T.reshape(-1, channels, 3, 3)
    norm = patches.flatten(1).norm(dim=1).clamp(min=1e-4).reshape(-1, 1, 1, 1)
    scores = functional.conv2d(small, patches / norm, padding=1)  # (1, N kernels, H/2, W/2)
    affinity = (10 * scores).softmax(dim=1).clamp(min=1e-8)
    blocks = functional.unfold(features, 4, padding=1, stride=2)[0].T.reshape(-1, channels, 4, 4)
    return functional.conv_transpose2d(affinity, blocks, stride=2, padding=1) / 4


@pytest.mark.parametrize(("height", "width"), [(8, 8), (4, 12)])
def test_region_affinity_equals_patches_as_kernels_and_so_does_its_gradient(mode, rand, height, width):
    torch = pytest.importorskip("torch")
    features, upstream = rand(2, 3, height, width), rand(2, 3, height, width)
    affinity = RegionAffinityLearning()
    found = affinity(features).asnumpy()
    (grad,) = gradients(affinity, (features,), upstream)

    features = torch.from_numpy(features.asnumpy()).requires_grad_()
    expected = torch.cat([by_convolution(sample[None]) for sample in features])
    (expected * torch.from_numpy(upstream.asnumpy())).sum().backward()
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(grad, features.grad.numpy(), atol=1e-4)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_affinity_in_strips_equals_affinity_at_once_and_so_does_its_gradient(mode, rand, monkeypatch, rows):
    features, upstream = rand(2, 3, 8, 12), rand(2, 3, 8, 12)

    def results():
        affinity = RegionAffinityLearning()
        return affinity(features).asnumpy(), gradients(affinity, (features,), upstream)[0]

    whole, grad = results()
    monkeypatch.setattr(PatchAttention, "LARGEST", 2 * 24 * 6 * rows)  # of 4 rows with 6 of the 24 patches
    in_strips, grad_in_strips = results()
    np.testing.assert_allclose(in_strips, whole, rtol=0, atol=1e-6)
    np.testing.assert_allclose(grad_in_strips, grad, rtol=0, atol=1e-5)


def test_a_flat_map_rebuilds_itself(mode):
    """Every patch looks alike, so each pixel inside is an average of equals; blocks at the border carry zeros in."""
    features = ops.ones((1, 2, 16, 16)) * 3.0
    rebuilt = RegionAffinityLearning()(features).asnumpy()
    inside = rebuilt[..., 4:-4, 4:-4]
    np.testing.assert_allclose(inside, inside.mean(), rtol=1e-5)
    assert 2.5 < inside.mean() <= 3.0 * (1 + 1e-6)  # no more than the map, but for float32's rounding


def test_a_map_of_zeros_has_no_norm_but_a_result(mode):
    np.testing.assert_array_equal(RegionAffinityLearning()(ops.zeros((1, 2, 8, 8))).asnumpy(), 0)


def test_aggregation_weights_sum_to_one(mode, rand):
    aggregation = MultiScaleFeatureAggregation(4)
    for branch in aggregation.dilated_convs:  # each scale says 2 everywhere, so that any average of them does
        branch[0].weight.set_data(ops.zeros_like(branch[0].weight))
        branch[0].bias.set_data(ops.full(branch[0].bias.shape, 2.0))
    for conv in (aggregation.weight_calc[0], aggregation.weight_calc[2]):
        conv.weight.set_data(rand(*conv.weight.shape))
    np.testing.assert_allclose(aggregation(rand(2, 4, 8, 8)).asnumpy(), 2, rtol=1e-5)


def test_aggregation_looks_as_far_as_its_widest_dilation(mode):
    aggregation = MultiScaleFeatureAggregation(1)
    for branch in aggregation.dilated_convs:
        branch[0].weight.set_data(ops.ones_like(branch[0].weight))
        branch[0].bias.set_data(ops.zeros_like(branch[0].bias))
    impulse = np.zeros((1, 1, 33, 33), np.float32)
    impulse[..., 16, 16] = 1
    spread = aggregation(Tensor(impulse)).asnumpy()[0, 0]
    reached = sorted({abs(int(y) - 16) for y in np.flatnonzero(np.abs(spread).max(axis=1) > 1e-6)})
    assert reached == [0, 1, 2, 4, 8]


def test_cfa_keeps_the_shape(mode, rand):
    assert CFA(4)(rand(2, 4, 8, 16)).shape == (2, 4, 8, 16)
