import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from src.ctsdg import Generator, seamless
from src.ctsdg.generator import scaled
from src.ctsdg.inpainting import Inpainting
from src.layers.membrane import Membrane

WIDTH, SIZE = 0.1, 128


@pytest.fixture
def batch(rand):
    """Two random images with one square hole each: image, mask, edge, gray."""
    mask = np.ones((2, 1, SIZE, SIZE), np.float32)
    mask[0, :, 30:80, 40:90] = 0
    mask[1, :, 64:, 64:] = 0
    image = rand(2, 3, SIZE, SIZE).clip(-1, 1)
    return image, Tensor(mask), rand(2, 1, SIZE, SIZE).clip(0, 1), rand(2, 1, SIZE, SIZE).clip(0, 1)


def lively(generator: Generator) -> Generator:
    """Weights large enough that what goes in shows in what comes out."""
    for name, parameter in generator.parameters_and_names():
        if name.endswith("weight"):
            fan_in = np.prod(parameter.shape[1:])
            random = np.random.default_rng(parameter.size).standard_normal(parameter.shape)
            parameter.set_data(Tensor((random * np.sqrt(2 / fan_in)).astype(np.float32)))
        elif name.endswith("_gamma"):
            parameter.set_data(Tensor(np.full(parameter.shape, 0.5, np.float32)))
    return generator.set_train(False)


def arrays(results) -> list[np.ndarray]:
    return [result.asnumpy() for result in results]


@pytest.fixture(scope="module")
def generator():
    return lively(Generator(WIDTH))


def test_shapes_and_ranges(mode, batch):
    output, projected_image, projected_edge = arrays(lively(Generator(WIDTH))(*batch))
    assert output.shape == projected_image.shape == (2, 3, SIZE, SIZE)
    assert projected_edge.shape == (2, 1, SIZE, SIZE)
    assert 0.5 < np.abs(output).max() < 1 + 1e-4  # MindSpore's tanh may reach 1.00001 on CPU
    assert 0.5 < np.abs(projected_image).max() < 1 + 1e-4
    assert 0 <= projected_edge.min() < projected_edge.max() <= 1


def test_what_the_hole_holds_does_not_matter(generator, batch):
    image, mask, *structure = batch
    image, *structure = (image * mask + 5.0 * (1 - mask) for image in (image, *structure))
    for found, expected in zip(arrays(generator(image, mask, *structure)), arrays(generator(*batch)), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_images_of_a_batch_do_not_see_each_other(generator, batch):
    together = arrays(generator(*batch))
    for i in range(2):
        alone = arrays(generator(*(tensor[i : i + 1] for tensor in batch)))
        for found, expected in zip(alone, together, strict=True):
            np.testing.assert_allclose(found[0], expected[i], atol=1e-4)


def test_texture_is_conditioned_on_structure_and_structure_on_texture(generator, batch):
    image, mask, edge, gray = batch
    _, projected_image, projected_edge = arrays(generator(*batch))
    _, other_image, _ = arrays(generator(image, mask, 1 - edge, gray))
    _, _, other_edge = arrays(generator(-image, mask, edge, gray))
    assert np.abs(other_image - projected_image).max() > 1e-3
    assert np.abs(other_edge - projected_edge).max() > 1e-3


@pytest.mark.parametrize("align_corners", [False, True])
def test_the_output_is_that_of_the_published_order(mode, rand, align_corners):
    """Up-sample all features, join them to the fused ones, then convolve."""
    generator = lively(Generator(WIDTH, align_corners))
    channels = scaled(64, WIDTH)
    half, fused = rand(2, channels, SIZE // 2, SIZE // 2), rand(2, 2 * channels, SIZE, SIZE)
    conv, tanh = generator.out[0], generator.out[1]
    expected = tanh(conv(ops.cat((generator.out.upsample(half), fused), axis=1))).asnumpy()
    found = generator.out(half, generator.out.of_fused(fused)).asnumpy()
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_two_up_samplings_give_other_images(generator, batch):
    aligned = lively(Generator(WIDTH, align_corners=True))(*batch)[0].asnumpy()
    assert np.abs(aligned - generator(*batch)[0].asnumpy()).max() > 1e-2


def test_a_completed_image_keeps_its_known_pixels(generator, batch):
    image, mask, edge, gray = batch
    completed = Inpainting(generator)(image, mask, edge, gray).asnumpy()
    output, known = generator(*batch)[0].asnumpy(), np.broadcast_to(mask.asnumpy() == 1, completed.shape)
    np.testing.assert_array_equal(completed[known], image.asnumpy()[known])
    np.testing.assert_allclose(completed[~known], output[~known], atol=1e-6)


def test_seamless_takes_off_what_the_output_is_off_the_known_pixels_around(batch, monkeypatch):
    """Where the detail around sets no bound."""
    monkeypatch.setattr(seamless, "MOST", 1e6)
    image, mask, *_ = batch
    generator = lively(Generator(WIDTH, seamless=True))
    output, *same = arrays(generator(*batch))
    generator.seamless = None
    plain, *projected = arrays(generator(*batch))
    for found, expected in zip(same, projected, strict=True):
        np.testing.assert_array_equal(found, expected)
    known = np.broadcast_to(mask.asnumpy() == 1, output.shape)
    np.testing.assert_array_equal(output[known], plain[known])
    # Both membranes at once, as there: multigrid enlarges the rounding errors by which one of a difference is another.
    smooth, own = arrays(ops.split(Membrane()(ops.cat((image, Tensor(plain)), axis=1), mask), 3, axis=1))
    np.testing.assert_allclose(output[~known], (plain + smooth - own)[~known], atol=1e-5)


def hole_in(image: np.ndarray) -> tuple[Tensor, Tensor]:
    mask = np.ones((1, 1, SIZE, SIZE), np.float32)
    mask[..., 30:80, 40:90] = 0
    return Tensor(image.astype(np.float32)), Tensor(mask)


def test_what_is_added_to_a_smooth_filling_is_bounded_by_the_detail_around(mode, rand):
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    slope = np.rint(255 * np.stack([x, y, (x + y) / 2]))[None] / 127.5 - 1  # rounded, as in a file
    output = rand(1, 3, SIZE, SIZE)
    image, mask = hole_in(slope)
    np.testing.assert_allclose(
        seamless.Seamless()(output, image, mask).asnumpy()[..., 30:80, 40:90], slope[..., 30:80, 40:90], atol=0.01
    )
    step = np.where(x > 0.5, 0.5, 0.0)[None, None].repeat(3, 1)
    bound = seamless.DetailBound()(*hole_in(step)).asnumpy()
    rows = np.abs(np.arange(SIZE) - (SIZE // 2 + 0.5)) < 1 + seamless.REACH  # the step's two columns, and around them
    expected = seamless.MOST * (0.5 / 3 - seamless.ROUNDING)
    np.testing.assert_allclose(bound[0, 0, 0], np.where(rows, expected, 0), atol=1e-5)


def test_seamless_fills_a_plain_image_plainly():
    """Before it has learned anything, too."""
    mask = np.ones((1, 1, SIZE, SIZE), np.float32)
    mask[..., 30:80, 40:90] = 0
    image, plain = np.full((1, 3, SIZE, SIZE), -0.4, np.float32), np.zeros((1, 1, SIZE, SIZE), np.float32)
    generator = Generator(WIDTH, seamless=True).set_train(False)
    completed = Inpainting(generator)(*map(Tensor, (image, mask, plain, plain))).asnumpy()
    np.testing.assert_allclose(completed, image, atol=0.02)


def test_every_weight_takes_part(batch):
    """A gradient reaches all of them, save the biases that a ReLU or a softmax may silence."""
    generator = lively(Generator(WIDTH)).set_train()

    def loss(*inputs):
        return sum((result * result).mean() for result in generator(*inputs))

    parameters = generator.trainable_params()
    for parameter, gradient in zip(parameters, ms.grad(loss, None, parameters)(*batch), strict=True):
        assert np.isfinite(gradient.asnumpy()).all(), parameter.name
        assert gradient.asnumpy().any() or parameter.name.endswith("bias"), parameter.name


def test_width_scales_every_channel():
    assert [scaled(64, width) for width in (1.0, 0.5, 0.1, 0.001)] == [64, 32, 6, 1]
    quarter, half = (sum(p.size for p in Generator(width).trainable_params()) for width in (0.25, 0.5))
    assert half == pytest.approx(4 * quarter, rel=0.02)


def test_at_width_one_it_is_the_published_network_with_its_initial_weights():
    generator = Generator()
    assert sum(parameter.size for parameter in generator.trainable_params()) == pytest.approx(52.1e6, rel=1e-3)
    weight = generator.texture_decoder.stages[0].conv.conv.weight.asnumpy()
    assert weight.mean() == pytest.approx(0, abs=1e-4)
    assert weight.std() == pytest.approx(0.02, rel=0.01)
    scale = generator.texture_encoder.stages[6].norm.gamma.asnumpy()
    assert (scale.mean(), scale.std()) == pytest.approx((1, 0.02), rel=0.1)
    assert not any(p.asnumpy().any() for p in generator.trainable_params() if p.name.endswith(("bias", "beta")))
