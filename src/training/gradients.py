"""Gradients of a batch, and sums of those of micro-batches."""

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from .loss_scale import LossScale
from .parameters import each


class Gradients(nn.Cell):
    """batch -> what the network returns; its loss, a scalar; the gradients of the loss times the loss scale"""

    def __init__(self, network: nn.Cell, weights: ParameterTuple, has_aux: bool, scale: LossScale | None) -> None:
        super().__init__(auto_prefix=False)
        self.network = ScaledLoss(network, has_aux, scale)
        self.loss_and_grads = ms.value_and_grad(self.network, None, weights, has_aux=True)

    def construct(self, *batch):
        (_, results, loss), grads = self.loss_and_grads(*batch)
        return results, loss, grads


class ScaledLoss(nn.Cell):
    """batch -> the loss times the loss scale, which gradients are taken of; what the network returns; its loss

    has_aux: the network returns (loss, more…), not the loss alone
    """

    def __init__(self, network: nn.Cell, has_aux: bool, scale: LossScale | None) -> None:
        super().__init__(auto_prefix=False)
        self.network, self.has_aux, self.scale = network, has_aux, scale

    def construct(self, *batch):
        results = self.network(*batch)
        loss = results[0] if self.has_aux else results
        return loss if self.scale is None else loss * self.scale.factor(), results, loss


class Accumulation(nn.Cell):
    """micro-batch -> what the network returns; its gradients and its loss are added to `sums` and `loss`."""

    def __init__(self, gradients: Gradients, weights: ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.gradients = gradients
        self.sums = weights.clone(prefix="sum", init="zeros")
        self.loss = Parameter(Tensor(0.0, ms.float32), name="sum.loss", requires_grad=False)

    def construct(self, *batch):
        results, loss, grads = self.gradients(*batch)
        added = each(ops.assign_add, self.sums, grads)
        return ops.depend(results, (added, ops.assign_add(self.loss, loss)))

    def read(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Copies of the sums: of the losses, of the gradients."""
        return self.loss + 0.0, each(_copy, self.sums)

    def clear(self) -> tuple:
        return each(_clear, self.sums), _clear(self.loss)


def _copy(parameter: Parameter) -> Tensor:
    return parameter * 1.0


def _clear(parameter: Parameter) -> Tensor:
    return ops.assign(parameter, ops.zeros_like(parameter))


def split(batch: tuple, parts: int) -> list[tuple]:
    """Micro-batches, along the batch axis. What has none, such as the key of a dropout, is in each of them."""
    return list(zip(*(ops.split(x, len(x) // parts) if x.ndim else [x] * parts for x in batch), strict=True))


def join(results: list):
    """What a network returned for each micro-batch, as if for the batch: scalars are averaged."""
    first = results[0]
    if isinstance(first, tuple):
        return tuple(join(list(parts)) for parts in zip(*results, strict=True))
    if isinstance(first, Tensor) and first.ndim:
        return ops.cat(results)
    return sum(results[1:], first) / len(results)
