"""The published network and the model zoo's, at full width with the same weights, give the same numbers here."""

import mindspore as ms
import numpy as np
import pytest
from PIL import Image

from src.checkpoint import load_network
from src.ctsdg import Discriminator, Generator
from src.ctsdg.inpainting import Inpainting
from src.data.images import to_uint8
from src.losses.perceptual import VGG16Features
from src.network_info import NetworkInfo
from tests.parity.official import DATA

pytestmark = pytest.mark.slow
TOLERANCE = 1e-3

# Modules of the official generator whose activations were recorded, and ours.
CELLS = {
    **{f"ec_{s}_{i + 1}": f"{s}_encoder.stages.{i}" for s in ("texture", "structure") for i in range(7)},
    **{f"dc_{s}_{7 - i}": f"{s}_decoder.stages.{i}" for s in ("texture", "structure") for i in range(7)},
    "bigff": "bigff",
    "fusion_layer1": "fusion1",
    "cfa.ral": "cfa.affinity",
    "cfa.msfa": "cfa.aggregation",
    "fusion_layer2": "fusion2",
}


@pytest.fixture(scope="module")
def expected():
    return np.load(DATA / "inference.npz")


@pytest.fixture(scope="module")
def forward(published, load, batch):
    """One pass operator by operator: the generator's three results and every recorded cell's."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    generator = load(published, Generator()).set_train(False)
    cells, seen = dict(generator.cells_and_names()), {}
    for name, ours in CELLS.items():
        cells[ours].register_forward_hook(lambda cell, inputs, result, name=name: seen.update({name: result}))
    results = generator(batch["image"], batch["mask"], batch["edge"], batch["gray"])
    return results, seen


def thinned(tensor: ms.Tensor, channels: int, size: int) -> np.ndarray:
    """About `channels` channels and `size` rows and columns of a tensor, evenly spaced."""
    every = max(1, tensor.shape[1] // channels), max(1, tensor.shape[3] // size)
    return tensor.asnumpy()[:, :: every[0], :: every[1], :: every[1]]


def test_outputs_are_the_published_ones(forward, expected):
    output, projected_image, projected_edge = (tensor.asnumpy() for tensor in forward[0])
    np.testing.assert_allclose(output[..., ::2, ::2], expected["output"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(projected_image[..., ::4, ::4], expected["projected_image"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(projected_edge[..., ::4, ::4], expected["projected_edge"], rtol=0, atol=TOLERANCE)


def test_every_activation_and_mask_is_the_published_one(forward, expected):
    names = [name for name in expected.files if name.startswith(("act.", "mask."))]
    assert len(names) == 20
    for name in names:
        kind, module = name.split(".", 1)
        found = forward[1][module]
        if kind == "mask":  # the published code carries it in as many equal channels as its features have
            found = np.broadcast_to(thinned(found[1], 4, 32), expected[name].shape)
        else:
            found = thinned(found[0] if isinstance(found, tuple) else found, 16, 16)
        np.testing.assert_allclose(found, expected[name], rtol=0, atol=TOLERANCE, err_msg=name)


def test_the_compiled_generator_gives_the_same(published, load, batch, expected):
    ms.set_context(mode=ms.GRAPH_MODE)
    generator = load(published, Generator()).set_train(False)
    output, _, _ = generator(batch["image"], batch["mask"], batch["edge"], batch["gray"])
    ms.set_context(mode=ms.PYNATIVE_MODE)
    np.testing.assert_allclose(output.asnumpy()[..., ::2, ::2], expected["output"], rtol=0, atol=TOLERANCE)


def test_discriminator_predictions_are_the_published_ones(forward, published, load, batch, expected):
    discriminator = load(published, Discriminator()).set_train(False)
    real, _ = discriminator(batch["image"], batch["edge"], batch["gray"])
    fake, fake_edge = discriminator(forward[0][0], None, batch["gray"])
    np.testing.assert_allclose(real.asnumpy(), expected["d_real_pred"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(fake.asnumpy(), expected["d_fake_pred"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(fake_edge.asnumpy()[..., ::4, ::4], expected["d_fake_edge"], rtol=0, atol=TOLERANCE)


def test_vgg16_features_are_torchvisions(vgg16, batch, expected):
    vgg = VGG16Features()
    load_network(vgg16, vgg, NetworkInfo("vgg16", "vgg16"))
    for i, features in enumerate(vgg(batch["image"])):
        found = features.asnumpy()[:, ::16, ::8, ::8]
        np.testing.assert_allclose(found, expected[f"vgg.enc_{i + 1}"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("weights", "images"), [("published", "completed"), ("modelzoo", "completed_modelzoo")])
def test_completed_images_are_within_two_levels(weights, images, load, batch, request):
    generator = load(request.getfixturevalue(weights), Generator(align_corners=weights == "modelzoo"))
    completed = Inpainting(generator)(batch["image"], batch["mask"], batch["edge"], batch["gray"]).asnumpy()
    for i, image in enumerate(completed):
        truth = np.asarray(Image.open(DATA / f"{images}_{i:02d}.png")).astype(int)
        assert np.abs(to_uint8(image) - truth).max() <= 2


def test_model_zoo_outputs_are_its_own(modelzoo, load, batch):
    expected = np.load(DATA / "modelzoo.npz")
    generator = load(modelzoo, Generator(align_corners=True)).set_train(False)
    results = generator(batch["image"], batch["mask"], batch["edge"], batch["gray"])
    for name, result, every in zip(("output", "projected_image", "projected_edge"), results, (2, 4, 4), strict=True):
        found = result.asnumpy()[..., ::every, ::every]
        np.testing.assert_allclose(found, expected[name], rtol=0, atol=TOLERANCE, err_msg=name)


def test_the_two_networks_differ():
    """Their outputs are far apart, so a checkpoint must not run with the other one's up-sampling."""
    published, modelzoo = np.load(DATA / "inference.npz")["output"], np.load(DATA / "modelzoo.npz")["output"]
    assert np.abs(published - modelzoo).max() > 100 * TOLERANCE
