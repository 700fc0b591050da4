"""Weight initialisation."""

import math

from mindspore import nn
from mindspore.common.initializer import HeUniform, Normal, Uniform, initializer


def init_normal(network: nn.Cell, sigma: float = 0.02) -> None:
    """Convolutions N(0, sigma), batch-norm scales N(1, sigma), every bias 0, in place."""
    for _, cell in network.cells_and_names():
        if isinstance(cell, nn.Conv2d):
            _fill(cell.weight, Normal(sigma))
            if cell.has_bias:
                _fill(cell.bias, "zeros")
        elif isinstance(cell, nn.BatchNorm2d):
            _fill(cell.gamma, Normal(sigma, mean=1.0))
            _fill(cell.beta, "zeros")


def init_torch_default(network: nn.Cell) -> None:
    """Convolutions as PyTorch leaves them: weight and bias uniform within 1 / sqrt(fan in), in place."""
    for _, cell in network.cells_and_names():
        if isinstance(cell, nn.Conv2d):
            fan_in = math.prod(cell.weight.shape[1:])
            _fill(cell.weight, HeUniform(negative_slope=5**0.5))
            if cell.has_bias:
                _fill(cell.bias, Uniform(fan_in**-0.5))


def _fill(parameter, how) -> None:
    parameter.set_data(initializer(how, parameter.shape, parameter.dtype))
