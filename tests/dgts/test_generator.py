"""The generator at a small width: against the published algorithm, and what has to hold for any weights."""

from functools import lru_cache

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.data.masks import draw_mask
from src.dgts.attention import coarse_levels
from src.dgts.embedding import to_patches
from src.dgts.fill_order import FILL_ORDERS
from src.dgts.generator import Generator
from src.dgts.low_resolution import working_image
from tests.dgts.growing_lists import GrowingLists, softmax

SIDE = 128  # 16 patches
WIDTH = 0.05


@pytest.fixture(scope="module", autouse=True)
def graph():
    ms.set_context(mode=ms.GRAPH_MODE)
    yield
    ms.set_context(mode=ms.PYNATIVE_MODE)


@lru_cache
def make(fill_order: str = "known_pixels", steps: int = 64) -> Generator:
    """With the same weights at every call, large enough for tokens to differ and attention to peak."""
    generator = Generator(WIDTH, SIDE, fill_order=fill_order, sequential_steps=steps).set_train(False)
    rng = np.random.default_rng(0)
    for name, parameter in generator.parameters_and_names():
        array = 0.05 * rng.standard_normal(parameter.shape)
        if parameter.ndim > 1:
            array *= 20 * (2 / np.prod(parameter.shape[1:])) ** 0.5
        if name.endswith(("query.weight", "key.weight")):
            array *= 2
        if not name.endswith(("gamma", "moving_mean", "moving_variance")):
            parameter.set_data(Tensor(array.astype(np.float32)))
    return generator


@pytest.fixture(scope="module")
def generator():
    return make()


def square(first: int, last: int) -> np.ndarray:
    mask = np.ones((1, SIDE, SIDE), np.float32)
    mask[:, first:last, first:last] = 0
    return mask


NO_HOLE, ALL_HOLE = square(0, 0), square(0, SIDE)
# No patch (32 x 32 pixels) is fully known: a comb of holes, more of them to the right.
COMB = np.ones((1, SIDE, SIDE), np.float32)
COMB[:, ::32, :] = 0
COMB[:, ::8, SIDE // 2 :] = 0


@pytest.fixture(scope="module")
def batch():
    """Five images with masks of very different kinds."""
    rng = np.random.default_rng(1)
    images = rng.uniform(-1, 1, (5, 3, SIDE, SIDE)).astype(np.float32)
    masks = np.stack([draw_mask(rng, SIDE, 0.2, 0.4), square(40, 100), NO_HOLE, ALL_HOLE, COMB])
    return images, masks


def run(generator, images: np.ndarray, masks: np.ndarray, order=None) -> tuple[np.ndarray, np.ndarray]:
    inputs = [Tensor(array) for array in (images, masks, order) if array is not None]
    completed, order = generator(*inputs)
    return completed.asnumpy(), order.asnumpy()


def patches(array: np.ndarray) -> np.ndarray:
    """(1, C, S, S) -> (N, C 8 8), of every fourth pixel."""
    return to_patches(working_image(Tensor(array))).asnumpy()[0].astype(np.float64)


def filled_in_turn(order: np.ndarray) -> list[int]:
    return [int(patch) for patch in order if patch >= 0]


@pytest.mark.parametrize("i", range(5))
def test_it_equals_the_published_algorithm_with_growing_lists(generator, batch, i):
    image, mask = batch[0][i : i + 1], batch[1][i : i + 1]
    completed, order = run(generator, image, mask)
    reference = GrowingLists(generator)
    known, hole = patches(image * mask), patches(np.repeat(1 - mask, 3, axis=1))
    count = 64 - hole[:, :64].sum(axis=1)
    embedded = reference.dense("decoder.embedding", known) + generator.positions.asnumpy()[0]
    tokens = reference.coarse(embedded, count)
    found = generator.coarse(Tensor(np.float32(embedded[None])), coarse_levels(Tensor(np.float32(count[None]))))
    np.testing.assert_allclose(found.asnumpy()[0], tokens, atol=1e-4)

    memory = generator.encoder(Tensor(image * mask)).asnumpy()[0].astype(np.float64)
    expected = reference.decode(tokens, count, memory, known, hole, filled_in_turn(order[0]))
    np.testing.assert_allclose(patches(np.kron(completed, np.ones((4, 4), np.float32))), expected, atol=1e-3)


@pytest.mark.parametrize("fill_order", ["known_pixels", pytest.param("confidence", marks=pytest.mark.slow)])
def test_a_batch_of_different_masks_gives_what_each_gives_alone(batch, fill_order):
    generator = make(fill_order)
    together, order = run(generator, *batch)
    for i in range(len(together)):
        alone, own_order = run(generator, batch[0][i : i + 1], batch[1][i : i + 1])
        np.testing.assert_array_equal(order[i], own_order[0])
        np.testing.assert_allclose(together[i], alone[0], atol=1e-4)


@pytest.mark.parametrize("fill_order", FILL_ORDERS)
def test_every_patch_with_a_hole_is_filled_once_and_known_pixels_stay(batch, fill_order):
    images, masks = batch
    completed, order = run(make(fill_order), images, masks)
    assert np.isfinite(completed).all()
    small, known = images[..., ::4, ::4], masks[..., ::4, ::4] == 1
    np.testing.assert_array_equal(
        completed[np.broadcast_to(known, completed.shape)], small[np.broadcast_to(known, small.shape)]
    )
    for i in range(len(images)):
        holes = np.flatnonzero(patches(1 - masks[i : i + 1]).sum(axis=1))
        assert sorted(filled_in_turn(order[i])) == list(holes)
        hole = ~np.broadcast_to(known[i], small[i].shape)
        assert not hole.any() or completed[i][hole].std() > 0.01
    np.testing.assert_array_equal(completed[2], small[2])  # without a hole


def test_what_lies_under_a_hole_does_not_matter(generator, batch):
    images, masks = batch
    completed, _ = run(generator, images, masks)
    other, _ = run(generator, np.where(masks == 1, images, 0.5).astype(np.float32), masks)
    np.testing.assert_array_equal(completed, other)


def test_known_pixels_closes_a_hole_from_its_rim(generator):
    """Of a hole in the middle, patches with more known pixels go first, then those with more known ones around."""
    mask = square(40, 100)
    _, order = run(generator, np.zeros((1, 3, SIDE, SIDE), np.float32), mask[None])
    count = patches(mask[None]).sum(axis=1)
    grid = np.pad(count.reshape(4, 4), 1)
    around = np.array([grid[i : i + 3, j : j + 3].sum() - grid[i + 1, j + 1] for i in range(4) for j in range(4)])
    keys = [(-count[patch], -around[patch], patch) for patch in range(16) if count[patch] < 64]
    assert filled_in_turn(order[0]) == [int(key[2]) for key in sorted(keys)]


def test_raster_goes_row_by_row(batch):
    _, order = run(make("raster"), *batch)
    assert all(filled_in_turn(row) == sorted(filled_in_turn(row)) for row in order)


def test_confidence_fills_first_where_attention_peaks(batch):
    """The first choice, worked out from the attention of all patches that can be chosen."""
    image, mask = batch[0][:1], batch[1][:1]
    generator = make("confidence")
    _, order = run(generator, image, mask)
    reference = GrowingLists(generator)
    known, hole = patches(image * mask), patches(np.repeat(1 - mask, 3, axis=1))
    count = 64 - hole[:, :64].sum(axis=1)
    tokens = reference.coarse(reference.dense("decoder.embedding", known) + generator.positions.asnumpy()[0], count)
    memory = generator.encoder(Tensor(image * mask)).asnumpy()[0].astype(np.float64)
    lists = [({}, {}) for _ in range(reference.num_layers)]
    for patch in np.flatnonzero(count == count.max()):
        reference.remember(patch, tokens[patch], memory, lists)
    peaks = {}
    for patch in np.flatnonzero(count < 64):
        x = tokens[patch]
        for i, (features, scores) in enumerate(lists):
            attention = 0.1 * reference.structure(i, x, features, scores)
            attention += 0.9 * softmax(reference.scores(i, x, memory))
            x = reference.attend(i, x, attention, memory)
        peaks[int(patch)] = attention.max()
    assert order[0, 0] == max(peaks, key=peaks.get)


def test_a_given_order_is_followed(generator, batch):
    image, mask = batch[0][:1], batch[1][:1]
    completed, order = run(generator, image, mask)
    again, found = run(generator, image, mask, order)
    np.testing.assert_array_equal(found, order)
    np.testing.assert_allclose(again, completed, atol=1e-5)
    wanted = order.copy()
    wanted[order >= 0] = order[order >= 0][::-1]
    other, found = run(generator, image, mask, wanted)
    np.testing.assert_array_equal(found, wanted)
    assert np.abs(other - completed).max() > 1e-3


@pytest.mark.parametrize("fill_order", ["known_pixels", pytest.param("confidence", marks=pytest.mark.slow)])
def test_after_the_sequential_steps_the_rest_is_filled_at_once(batch, fill_order):
    full, order = run(make(fill_order), *batch)
    completed, in_turn = run(make(fill_order, steps=3), *batch)
    np.testing.assert_array_equal(in_turn[:, :3], order[:, :3])
    assert (in_turn[:, 3:] == -1).all()
    assert np.isfinite(completed).all()
    first = order[0, :3]
    by_patch = [to_patches(Tensor(array)).asnumpy()[0] for array in (full[:1], completed[:1])]
    np.testing.assert_allclose(by_patch[0][first], by_patch[1][first], atol=1e-5)
    later = order[0, 3:][order[0, 3:] >= 0]
    assert np.abs(by_patch[1][later]).max(axis=1).min() > 0
    assert np.abs(by_patch[0][later] - by_patch[1][later]).max() > 1e-3


def test_only_the_last_three_stages_of_the_backbone_learn(generator):
    frozen = {name for name, p in generator.parameters_and_names() if not p.requires_grad}
    norms = ("gamma", "beta", "moving_mean", "moving_variance")
    assert all(name.startswith("encoder.backbone.") for name in frozen)
    convolutions = {name for name in frozen if not name.endswith(norms)}
    assert len(convolutions) == 11  # the first one, and ten of the first stage
    assert all(name.startswith(("encoder.backbone.conv1", "encoder.backbone.stages.0")) for name in convolutions)
