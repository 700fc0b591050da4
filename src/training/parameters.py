"""Lists of parameters, as graphs and checkpoints need them."""

from mindspore import Parameter, nn, ops

# For every parameter. Not a loop: in a graph each turn of one is a function in a function, of which MindSpore allows a
# thousand.
each = ops.HyperMap()


def own_parameters(optimizer: nn.Optimizer) -> dict[str, Parameter]:
    """By name: its count of steps, rates and moments; not the weights that it updates."""
    weights = {weight.name for weight in optimizer.parameters}
    return {name: p for name, p in optimizer.parameters_and_names() if p.name not in weights}
