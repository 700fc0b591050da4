"""One optimizer step: gradients over micro-batches and ranks, which are not taken where they are not finite."""

import math
from collections.abc import Callable, Iterable

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from src.training.ranks import on_any_rank

# For every parameter. Not a loop: in a graph each turn of one is a function in a function, of which MindSpore allows a
# thousand.
each = ops.HyperMap()


class LossScale:
    """What a loss is multiplied with so that its gradients are large enough for float16 (Micikevicius et al., 2018).

    It halves when they are too large, and doubles after `PATIENCE` steps that were not.
    """

    FIRST, PATIENCE = 2.0**16, 2000

    def __init__(self) -> None:
        self.factor = Parameter(Tensor(self.FIRST, ms.float32), name="loss_scale", requires_grad=False)
        self.value, self.good_steps = self.FIRST, 0

    def set(self, value: float, good_steps: int) -> None:
        self.value, self.good_steps = value, good_steps
        self.factor.set_data(Tensor(value, ms.float32))

    def adjust(self, finite: bool) -> bool:
        """Call it after each step. Was that too large, and is it smaller now?"""
        if finite:
            grows = self.good_steps + 1 == self.PATIENCE
            self.set(self.value * (2 if grows else 1), 0 if grows else self.good_steps + 1)
            return False
        lowered = self.value > 1
        self.set(max(self.value / 2, 1.0), 0)
        return lowered


class ScaledLoss(nn.Cell):
    """batch -> the loss, scaled, for its gradients, and what the network returns."""

    def __init__(self, network: nn.Cell, has_aux: bool, scale: Parameter | None) -> None:
        super().__init__(auto_prefix=False)
        self.network, self.has_aux, self.scale = network, has_aux, scale

    def construct(self, *batch):
        results = self.network(*batch)
        loss = results[0] if self.has_aux else results
        return loss if self.scale is None else loss * self.scale, results


class Gradients(nn.Cell):
    """batch -> what the network returns, and the gradients of its loss: the first of these or, without has_aux, all."""

    def __init__(self, network: nn.Cell, weights: ParameterTuple, has_aux: bool, scale: Parameter | None) -> None:
        super().__init__(auto_prefix=False)
        self.network = ScaledLoss(network, has_aux, scale)
        self.loss_and_grads = ms.value_and_grad(self.network, None, weights, has_aux=True)

    def construct(self, *batch):
        (_, results), grads = self.loss_and_grads(*batch)
        return results, grads


class Sum(nn.Cell):
    """Gradients of the micro-batches so far, then those of one more. (A tuple as input would be compiled each time.)"""

    def construct(self, *grads: Tensor) -> tuple:
        count = len(grads) // 2
        return each(ops.add, grads[:count], grads[count:])


class Reduce(nn.Cell):
    """Gradients averaged over ranks, and the sum of their squares, which is finite if they all are and below 1e19."""

    def __init__(self, reducer: nn.Cell) -> None:
        super().__init__()
        self.reducer = reducer

    def construct(self, *grads: Tensor) -> tuple:
        grads = self.reducer(grads)
        return grads, ops.addn(each(_square, grads))


def _square(gradient: Tensor) -> Tensor:
    return (gradient * gradient).sum()


class Update(nn.Cell):
    """The optimizer's step with gradients times a factor."""

    def __init__(self, optimizer: nn.Optimizer) -> None:
        super().__init__(auto_prefix=False)
        self.optimizer = optimizer

    def construct(self, factor: Tensor | None, *grads: Tensor) -> tuple:
        return self.optimizer(grads if factor is None else each(ops.partial(ops.mul, factor), grads))


class Copy(nn.Cell):
    """Assigns each of `source` to the one of `target` in its place."""

    def __init__(self, target: Iterable[Parameter], source: Iterable[Parameter]) -> None:
        super().__init__(auto_prefix=False)
        self.target, self.source = ParameterTuple(target), ParameterTuple(source)

    def construct(self) -> tuple:
        return each(ops.assign, self.target, self.source)


class Average(nn.Cell):
    """The exponential moving average of what a network learns, from what it is now on."""

    def __init__(self, network: nn.Cell, decay: float) -> None:
        super().__init__(auto_prefix=False)
        learnt = {name: parameter for name, parameter in network.parameters_and_names() if parameter.requires_grad}
        self.names, self.weights, self.share = tuple(learnt), ParameterTuple(learnt.values()), 1.0 - decay
        self.averages = self.weights.clone(prefix="ema", init="same")

    def construct(self) -> tuple:
        return each(ops.partial(_approach, self.share), self.averages, self.weights)

    def named(self) -> dict[str, Parameter]:
        return dict(zip(self.names, self.averages, strict=True))


def _approach(share: float, average: Parameter, weight: Parameter) -> Tensor:
    return ops.assign(average, average + share * (weight - average))


class TrainOneStep:
    """batch -> loss, or with has_aux (loss, more…), after the optimizer's step. The forward runs once.

    accumulate: micro-batches that a batch is cut into. Of what the network returns, numbers are averaged over them and
    pictures joined. clip: largest norm of all gradients together; 0 leaves them. average: follows the weights.
    loss_scale: for networks that compute in float16.

    Where the loss or a gradient is not finite the step is skipped: weights, optimizer, average, batch statistics and
    spectral norms stay as they were. What the networks return is then what it is. `skipped` tells of it, and `hopeless`
    if no smaller loss scale is left to try.
    """

    def __init__(
        self,
        network: nn.Cell,
        optimizer: nn.Optimizer,
        has_aux: bool = True,
        accumulate: int = 1,
        clip: float = 0.0,
        average: Average | None = None,
        loss_scale: LossScale | None = None,
    ) -> None:
        self.network, self.has_aux, self.accumulate, self.clip, self.average = (
            network, has_aux, accumulate, clip, average,
        )  # fmt: skip
        self.loss_scale = loss_scale
        # MindSpore's own cell knows how many ranks there are, and averages over them.
        cell = nn.TrainOneStepCell(network, optimizer)
        self.distributed = cell.reducer_flag
        self.gradients = Gradients(network, cell.weights, has_aux, loss_scale and loss_scale.factor)
        self.add, self.reduce, self.update = Sum(), Reduce(cell.grad_reducer), Update(optimizer)
        self.keep: Callable[[], object] | None = None
        self.restore: Callable[[], object] | None = None
        self.skipped = self.hopeless = False

    def set_train(self) -> "TrainOneStep":
        self.network.set_train()
        return self

    def __call__(self, *batch: Tensor) -> tuple:
        self._keep_state()
        results, grads = [], None
        for micro_batch in self._split(batch):
            result, more = self.gradients(*micro_batch)
            results.append(result)
            grads = more if grads is None else self.add(*grads, *more)
        grads, squares = self.reduce(*grads)
        # Gradients are sums over micro-batches, and scaled.
        divisor = self.accumulate * (self.loss_scale.value if self.loss_scale else 1.0)
        norm = math.sqrt(float(squares.asnumpy())) / divisor
        losses = [float((result[0] if self.has_aux else result).asnumpy()) for result in results]
        self.skipped = not all(map(math.isfinite, (norm, *losses)))
        if self.distributed:  # gradients are the same on all ranks, losses are not
            self.skipped = on_any_rank(self.skipped)
        if self.skipped:
            self.restore()
        else:
            self.update(self._factor(norm, divisor), *grads)
            if self.average is not None:
                self.average()
        lowered = self.loss_scale is not None and self.loss_scale.adjust(not self.skipped)
        self.hopeless = self.skipped and not lowered
        return results[0] if len(results) == 1 else join(results)

    def _factor(self, norm: float, divisor: float) -> Tensor | None:
        """What gradients are multiplied with; None where it is always 1."""
        if not (self.clip or self.accumulate > 1 or self.loss_scale):
            return None
        clipped = min(1.0, self.clip / (norm + 1e-6)) if self.clip else 1.0
        return Tensor(clipped / divisor, ms.float32)

    def _keep_state(self) -> None:
        """Remember what a forward changes by itself: what does not learn in cells that train."""
        if self.keep is None:
            state = [
                parameter
                for _, cell in self.network.cells_and_names()
                if cell.training
                for _, parameter in cell.parameters_and_names(expand=False)
                if not parameter.requires_grad
            ]
            kept = ParameterTuple(state).clone(prefix="kept", init="same")
            self.keep, self.restore = (Copy(kept, state), Copy(state, kept)) if state else (_nothing, _nothing)
        self.keep()

    def _split(self, batch: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
        if self.accumulate == 1:
            return [batch]
        # What has no batch axis, such as the key of a dropout, goes with each.
        columns = [ops.split(x, len(x) // self.accumulate) if x.ndim else [x] * self.accumulate for x in batch]
        return list(zip(*columns, strict=True))


def _nothing() -> None:
    pass


def join(results: list):
    """What a network returned for each micro-batch, as if for one batch."""
    first = results[0]
    if isinstance(first, tuple):
        return tuple(join(list(parts)) for parts in zip(*results, strict=True))
    if isinstance(first, Tensor) and first.ndim:
        return ops.cat(results)
    return sum(results[1:], first) / len(results)
