"""What a forward changes by itself, so that it can be put back where a step is skipped."""

import itertools

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from .parameters import each


class ForwardState(nn.Cell):
    """Batch statistics and vectors of spectral norms: what does not learn in the cells that train.

    construct: -> a copy of all of it, (N,), or (1,) where there is none
    """

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        found = [
            parameter
            for _, cell in network.cells_and_names()
            if cell.training
            for _, parameter in cell.parameters_and_names(expand=False)
            if not parameter.requires_grad
        ]
        sizes = [parameter.size for parameter in found]
        self.parameters, self.sizes = ParameterTuple(found), tuple(sizes)
        self.starts = tuple(itertools.accumulate(sizes[:-1], initial=0))
        self.join, self.slice = ops.Concat(), ops.Slice()

    def construct(self) -> Tensor:
        return self.join(each(_flat, self.parameters)) if self.sizes else ops.zeros((1,), ms.float32)

    def restore(self, copy: Tensor) -> Tensor:
        """Set all of it from a copy. -> scalar, when it is done"""
        done = ops.zeros((), ms.float32)
        if self.sizes:
            set_from = ops.partial(_set_from, self.slice, copy)
            done = ops.depend(done, each(set_from, self.parameters, self.starts, self.sizes))
        return done


def _flat(parameter: Parameter) -> Tensor:
    return parameter.reshape(-1)


def _set_from(part: ops.Primitive, copy: Tensor, parameter: Parameter, start: int, size: int) -> Tensor:
    return ops.assign(parameter, part(copy, (start,), (size,)).reshape(parameter.shape))
