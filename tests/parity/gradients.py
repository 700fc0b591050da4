"""Gradients of a cell, to set beside PyTorch's."""

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn


class WeightedSum(nn.Cell):
    """Σ weight · network(inputs): with random weights its gradients show every entry of the Jacobian."""

    def __init__(self, network: nn.Cell, weight: Tensor) -> None:
        super().__init__()
        self.network, self.weight = network, weight

    def construct(self, *inputs: Tensor) -> Tensor:
        return (self.network(*inputs) * self.weight).sum()


def gradients(network: nn.Cell, inputs: tuple[Tensor, ...], weight: Tensor, *parameters: Parameter) -> list[np.ndarray]:
    """Of Σ weight · network(inputs), for each input and then for each parameter."""
    positions = tuple(range(len(inputs)))
    grads = ms.grad(WeightedSum(network, weight), positions, list(parameters) or None)(*inputs)
    of_inputs, of_parameters = grads if parameters else (grads, ())
    of_inputs = of_inputs if isinstance(of_inputs, tuple) else (of_inputs,)
    return [grad.asnumpy() for grad in (*of_inputs, *of_parameters)]
