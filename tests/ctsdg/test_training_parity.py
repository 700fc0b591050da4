"""Three iterations of the first stage, at full width from the same weights, go as the published ones."""

import json

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from src.checkpoint import NetworkInfo, load_network, save_network
from src.ctsdg import Discriminator, Generator
from src.ctsdg.loss import GENERATOR_TERMS, DiscriminatorLoss, GeneratorLoss, LossWeights
from src.losses.perceptual import VGG16Features
from src.training.train_step import TrainOneStep
from tests.parity.official import DATA, NETWORKS, OFFICIAL_SHAPES, official_names, run_convert
from tests.parity.rule_weights import rule_state

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow
ITERATIONS = 3
FORWARDS = {"generator": 1, "discriminator": 3}  # in training mode, per iteration

# In front of a batch norm a bias has no effect: its true gradient is zero, and what is recorded is noise.
NOISE = tuple(f"discriminator/edge_detector.{name}.bias" for name in ("projection.0", "res_layer.0", "res_layer.3"))


class Recorder(nn.Cell):
    """Where a training step hands its gradients to the reducer of distributed training: keep the first ones."""

    def __init__(self) -> None:
        super().__init__()
        self.first = None

    def construct(self, grads: tuple) -> tuple:
        self.first = self.first or [grad.asnumpy() for grad in grads]
        return grads


@pytest.fixture(scope="module")
def run(published, load, batch, tmp_path_factory):
    """Losses of each iteration, digests of the first gradients, and official state dicts after the last iteration."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    folder = tmp_path_factory.mktemp("trained")
    networks = {"generator": load(published, Generator()), "discriminator": load(published, Discriminator())}
    steps = train_steps(networks["generator"], networks["discriminator"], load_vgg(folder))
    recorders = {name: Recorder() for name in NETWORKS}
    for name in NETWORKS:
        steps[name].grad_reducer = recorders[name]

    losses = []
    image, mask, edge, gray = (batch[name] for name in ("image", "mask", "edge", "gray"))
    for _ in range(ITERATIONS):
        total, terms, output, _ = steps["generator"](image, mask, edge, gray)
        critic = steps["discriminator"](image, output, edge, gray)
        named = dict(zip(GENERATOR_TERMS, terms, strict=True)) | {"generator": total, "discriminator": critic}
        losses.append({name: float(value.asnumpy()) for name, value in named.items()})

    gradients = {}
    for name, network in networks.items():
        theirs = official_names(name)
        ours = [our_name for our_name, parameter in network.parameters_and_names() if parameter.requires_grad]
        for our_name, gradient in zip(ours, recorders[name].first, strict=True):
            gradients[f"{name}/{theirs[our_name]}"] = digest(gradient)
        info = NetworkInfo("ctsdg", name, iteration=ITERATIONS, batches_tracked=ITERATIONS * FORWARDS[name])
        save_network(folder / f"{name}.ckpt", network, info)
    content = torch.load(run_convert("ours", "ctsdg", folder, folder / "trained.pth"), weights_only=True)
    return losses, gradients, {name: content[name] for name in NETWORKS}


def load_vgg(folder):
    state = rule_state(OFFICIAL_SHAPES["vgg16_features"])
    torch.save({name: torch.from_numpy(array) for name, array in state.items()}, folder / "vgg16.pth")
    vgg = VGG16Features()
    file = run_convert("torchvision", "vgg16", folder / "vgg16.pth", folder / "vgg16.ckpt")
    load_network(file, vgg, NetworkInfo("vgg16", "vgg16"))
    return vgg


def train_steps(generator: nn.Cell, discriminator: nn.Cell, vgg: nn.Cell) -> dict[str, nn.Cell]:
    """The first stage's steps with the published rates."""
    steps = {
        "generator": TrainOneStep(
            GeneratorLoss(generator, discriminator, vgg, LossWeights()), nn.Adam(generator.trainable_params(), 2e-4)
        ),
        "discriminator": nn.TrainOneStepCell(
            DiscriminatorLoss(discriminator), nn.Adam(discriminator.trainable_params(), 2e-5)
        ),
    }
    for step in steps.values():
        step.set_train()
    vgg.set_train(False)
    return steps


def digest(array: np.ndarray) -> np.ndarray:
    """Norm, mean and up to 16 entries of an array."""
    flat = array.astype(np.float64).ravel()
    # In PyTorch's float32, which in arrays of millions picks some neighbours of what NumPy's float64 would.
    entries = torch.linspace(0, flat.size - 1, min(16, flat.size)).long().numpy()
    return np.array([np.linalg.norm(flat), flat.mean(), *flat[entries]])


@pytest.fixture(scope="module")
def expected():
    return dict(np.load(DATA / "training.npz"))


@pytest.mark.parametrize(("iteration", "tolerance"), [(1, 1e-3), (2, 1e-3), (3, 5e-3)])
def test_every_loss_is_the_published_one(run, iteration, tolerance):
    published = json.loads((DATA / "training_losses.json").read_text())[iteration - 1]
    found = run[0][iteration - 1]
    names = {f"loss_{name}": name for name in GENERATOR_TERMS}
    names |= {"generator_loss": "generator", "discriminator_loss": "discriminator"}
    assert {name: found[names[name]] for name in published} == pytest.approx(published, rel=tolerance)


def test_first_gradients_are_the_published_ones(run, expected):
    gradients = {name.removeprefix("grad1."): value for name, value in expected.items() if name.startswith("grad1.")}
    assert set(run[1]) == set(gradients)
    for name, value in gradients.items():
        if name not in NOISE:
            assert run[1][name][0] == pytest.approx(value[0], rel=1e-2), name
            scale = np.abs(value[2:]).max()
            np.testing.assert_allclose(run[1][name][2:], value[2:], rtol=0, atol=2e-2 * scale, err_msg=name)


def test_weights_after_three_iterations_are_the_published_ones(run, expected):
    names = [f"{network}/{name}" for network, state in run[2].items() for name in state]
    assert [f"after3.{name}" for name in names] == [name for name in expected if name.startswith("after3.")]
    for name in names:
        network, array = name.split("/")
        found, value = digest(run[2][network][array].numpy()), expected[f"after3.{name}"]
        if name not in NOISE:
            assert found[0] == pytest.approx(value[0], rel=2e-3), name
            scale = np.abs(value[2:]).max()
            np.testing.assert_allclose(found[2:], value[2:], rtol=0, atol=5e-3 * scale, err_msg=name)
