"""benchmarks/published_*.py compute what our cells compute: with equal weights, the same images."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from src.convert.names import PYTORCH, pair_names, parameter_shapes
from src.ctsdg import convert
from src.ctsdg.generator import Generator
from src.ctsdg.inpainting import Inpainting
from src.dgts.upsampler.convert import UPSAMPLER
from src.dgts.upsampler.network import Upsampler, masked_input
from tests.parity.official import as_tensors
from tests.parity.rule_weights import rule_state

torch = pytest.importorskip("torch")

WIDTH, SIDE = 0.1, 128


def share_weights(cell: nn.Cell, table: tuple, published) -> None:
    """Weights by rule in both; load_state_dict checks that names and shapes are the official ones."""
    shapes = parameter_shapes(cell)
    pairs = pair_names(table, PYTORCH, shapes)
    state = rule_state({theirs: shapes[ours] if ours else () for ours, theirs in pairs})
    for name in state:
        if name.startswith(("out_layer", "conv_img")):
            state[name] *= np.float32(0.2)  # MindSpore's tanh of 5 and more is 1, which alone would be 1e-4 off
    published.load_state_dict(as_tensors(state))
    parameters = dict(cell.parameters_and_names())
    for ours, theirs in pairs:
        if ours:
            parameters[ours].set_data(Tensor(state[theirs]))
    published.eval()


@pytest.fixture
def batch() -> list[np.ndarray]:
    """image, mask, edge, gray of two samples with different holes."""
    rng = np.random.default_rng(0)
    image, edge, gray = (rng.random((2, channels, SIDE, SIDE), dtype=np.float32) for channels in (3, 1, 1))
    mask = np.ones((2, 1, SIDE, SIDE), np.float32)
    mask[0, :, 30:90, 20:70], mask[1, :, 60:100, 5:120] = 0, 0
    return [2 * image - 1, mask, np.float32(edge > 0.9), gray]


def assert_same(cell: nn.Cell, published, arrays: list[np.ndarray]) -> None:
    found = cell(*(Tensor(array) for array in arrays)).asnumpy()
    with torch.no_grad():
        expected = published(*(torch.from_numpy(array) for array in arrays)).numpy()
    assert expected.std() > 0.05
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_the_published_ctsdg_gives_our_images(batch):
    from benchmarks import published_ctsdg

    generator, published = Generator(WIDTH), published_ctsdg.Generator(WIDTH)
    share_weights(generator, convert.GENERATOR, published)
    assert_same(Inpainting(generator), published, batch)


@pytest.mark.parametrize("lean", [False, True])
def test_the_pytorch_training_has_our_seamless_generator(batch, lean):
    from benchmarks import published_training

    generator, published = Generator(WIDTH, seamless=True), published_training.TrainedGenerator(WIDTH, True)
    share_weights(generator, convert.GENERATOR, published)
    if lean:
        published_training.make_lean(published)
    found = generator.set_train(False)(*map(Tensor, batch))
    with torch.no_grad():
        expected = published(*(torch.from_numpy(array) for array in batch))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.asnumpy(), theirs.numpy(), rtol=0, atol=2e-4)


def test_the_published_upsampler_gives_our_images(batch):
    from benchmarks import published_upsampler

    upsampler, published = Upsampler(WIDTH), published_upsampler.Upsampler(WIDTH)
    share_weights(upsampler, UPSAMPLER, published)
    image, mask = batch[:2]
    arrays = [masked_input(Tensor(image), Tensor(mask)).asnumpy(), np.ascontiguousarray(image[:, :, ::8, ::8])]
    assert_same(upsampler.set_train(False), published, arrays)
