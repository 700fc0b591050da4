"""Our AdamW takes PyTorch's steps."""

import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from src.training.adamw import AdamW
from src.training.train_step import TrainOneStepCell

GRADIENTS = np.random.default_rng(1).standard_normal((5, 2, 3, 4)).astype(np.float32) * np.float32(1e-3)


class Product(nn.Cell):
    """A loss whose gradients are the inputs."""

    def __init__(self, start: np.ndarray) -> None:
        super().__init__()
        self.a, self.b = Parameter(Tensor(start[0])), Parameter(Tensor(start[1]))

    def construct(self, a: Tensor, b: Tensor) -> tuple:
        return (self.a * a).sum() + (self.b * b).sum(), self.a


@pytest.mark.parametrize(
    ("betas", "epsilon", "decay"), [((0.9, 0.999), 1e-8, 1e-2), ((0.0, 0.9), 1e-8, 0.0), ((0.9, 0.999), 1e-3, 0.1)]
)
def test_adamw_takes_the_steps_of_pytorch(mode, betas, epsilon, decay):
    torch = pytest.importorskip("torch")
    start = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    network = Product(start)
    groups = [{"params": [network.a], "lr": 1e-3}, {"params": [network.b], "lr": 1e-2}]
    step = TrainOneStepCell(network, AdamW(groups, 1e-2, betas, epsilon, decay))

    theirs = [torch.nn.Parameter(torch.from_numpy(array.copy())) for array in start]
    groups = [{"params": [theirs[0]], "lr": 1e-3}, {"params": [theirs[1]], "lr": 1e-2}]
    reference = torch.optim.AdamW(groups, betas=betas, eps=epsilon, weight_decay=decay)
    for gradients in GRADIENTS:
        step(*map(Tensor, gradients))
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = torch.from_numpy(gradient.copy())
        reference.step()
    for ours, parameter, before in zip((network.a, network.b), theirs, start, strict=True):
        expected = parameter.detach().numpy()
        np.testing.assert_allclose(ours.asnumpy() - before, expected - before, rtol=2e-5, atol=5e-7)


def test_one_rate_for_all():
    network = Product(np.ones((2, 3, 4), np.float32))
    TrainOneStepCell(network, AdamW(network.trainable_params(), 1e-2))(*map(Tensor, GRADIENTS[0]))
    for parameter, gradient in zip((network.a, network.b), GRADIENTS[0], strict=True):
        np.testing.assert_allclose(parameter.asnumpy(), 1 - 1e-2 * np.sign(gradient), atol=1e-4)
