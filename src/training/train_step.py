"""One optimizer step as one compiled graph, which is skipped where losses or gradients are not finite."""

import ctypes
from contextlib import suppress

from mindspore import Tensor, nn, ops

from ..layers.reduce import sum_squares
from .average import Average
from .counters import SkipCount
from .forward_state import ForwardState
from .gradients import Accumulation, Gradients, join, split
from .loss_scale import LossScale
from .parameters import each, own_parameters


class TrainOneStepCell(nn.TrainOneStepCell):
    """batch -> what the network returns: its loss, or with has_aux (loss, more…). The weights are updated by one step.

    name: the network's. The optimizer's own parameters get it before their names, so that those of several optimizers
    differ. Otherwise MindSpore renames parameters of a graph, and with them the entries of checkpoints.
    accumulate: number of micro-batches that a batch is cut into. Of what the network returns, scalars are averaged over
    them, and other tensors joined along the batch axis.
    clip: largest norm of all gradients together; 0 for no limit.
    average: is updated after each step. loss_scale: for networks that compute in float16.
    count: counts skipped steps.

    The step is skipped where the loss or a gradient is not finite, on any rank. Weights, optimizer, average, batch
    statistics and spectral norms then keep their values of before.

    The host reads no tensor here. The training of several networks is a subclass of this cell for the first of them,
    with a cell like this for each of the others; its `construct` calls `step` of all of them, in one graph. With
    accumulate > 1 there are two graphs for each network: of a micro-batch, and of the update after the last one.

    Set the cells of the network to training, or to their frozen state, before making this cell.
    """

    def __init__(
        self,
        network: nn.Cell,
        optimizer: nn.Optimizer,
        has_aux: bool = True,
        name: str = "",
        accumulate: int = 1,
        clip: float = 0.0,
        average: Average | None = None,
        loss_scale: LossScale | None = None,
        count: SkipCount | None = None,
    ) -> None:
        super().__init__(network, optimizer)
        for key, parameter in own_parameters(optimizer).items() if name else ():
            parameter.name = f"{name}.{key}"
        self.accumulate = accumulate
        self.gradients = Gradients(network, self.weights, has_aux, loss_scale)
        self.state = ForwardState(network)
        reducer = self.grad_reducer if self.reducer_flag else None
        self.update = Update(optimizer, reducer, self.state, accumulate, clip, average, loss_scale)
        self.count = count or SkipCount()
        self.memory_returned = False
        if accumulate > 1:
            self.accumulation = Accumulation(self.gradients, self.weights)
            self.accumulated_update = AccumulatedUpdate(self.accumulation, self.update)

    def construct(self, *batch):
        results, skipped, no_scale_left = self.step(*batch)
        return ops.depend(results, self.count(skipped, no_scale_left))

    def step(self, *batch) -> tuple:
        """-> what the network returns; skipped, no_scale_left: bool scalars

        no_scale_left: the step was skipped, and a smaller loss scale, which might mend the next one, is not left.
        """
        before = self.state()
        if self.accumulate > 1:
            results = [self.accumulation(*micro_batch) for micro_batch in split(batch, self.accumulate)]
            return join(results), *self.accumulated_update(before)
        results, loss, grads = self.gradients(ops.depend(batch[0], before), *batch[1:])
        return results, *self.update(loss, before, *grads)

    def __call__(self, *batch):
        if self.accumulate > 1:
            return self.construct(*batch)  # whose parts are compiled, not the whole
        return super().__call__(*batch)

    def compile(self, *args: object, **kwargs: object) -> None:
        super().compile(*args, **kwargs)
        if not self.memory_returned:
            return_freed_memory()
        self.memory_returned = True


class Update(nn.Cell):
    """One step of the optimizer, or none where something is not finite.

    loss: scalar, or a sum of them; before: copy of the ForwardState from before the forward; grads: sums over
    micro-batches, times the loss scale -> skipped, no_scale_left: bool scalars

    reducer: averages gradients over ranks, if there are several.
    """

    def __init__(
        self,
        optimizer: nn.Optimizer,
        reducer: nn.Cell | None,
        state: ForwardState,
        accumulate: int,
        clip: float,
        average: Average | None,
        loss_scale: LossScale | None,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.optimizer, self.reducer, self.state = optimizer, reducer, state
        self.sum_ranks = None if reducer is None else ops.AllReduce()
        self.accumulate, self.clip, self.average, self.scale = accumulate, clip, average, loss_scale

    def construct(self, loss: Tensor, before: Tensor, *grads: Tensor) -> tuple:
        grads = grads if self.reducer is None else self.reducer(grads)
        squares = ops.addn(each(sum_squares, grads))
        # 0 if all is finite and no gradient longer than 1e19, else NaN. Losses differ between ranks, gradients do not.
        fault = 0.0 * squares + 0.0 * loss
        finite = (fault if self.sum_ranks is None else self.sum_ranks(fault)) == 0.0
        done = self._take(squares, grads) if finite else self.state.restore(before)
        skipped = ops.depend(ops.logical_not(finite), done)
        if self.scale is None:
            return skipped, skipped
        return skipped, ops.logical_and(skipped, ops.logical_not(self.scale.adjust(finite)))

    def _take(self, squares: Tensor, grads: tuple) -> Tensor:
        """squares: the squared norm of all gradients -> scalar, when the step is done"""
        factor = 1.0 / self.accumulate
        if self.scale is not None:
            factor = factor / self.scale.factor()
        if self.clip:
            norm = ops.sqrt(squares) * factor
            factor = factor * ops.minimum(1.0, self.clip / (norm + 1e-6))
        if self.clip or self.accumulate > 1 or self.scale is not None:
            grads = each(ops.partial(ops.mul, factor), grads)
        done = self.optimizer(grads)
        if self.average is not None:
            done = ops.depend(self.average(), done)
        return ops.depend(ops.zeros_like(squares), done)


class AccumulatedUpdate(nn.Cell):
    """`update` with the sums of an Accumulation, which are then 0 again. before, results: as Update has them"""

    def __init__(self, accumulation: Accumulation, update: Update) -> None:
        super().__init__(auto_prefix=False)
        self.accumulation, self.update = accumulation, update

    def construct(self, before: Tensor) -> tuple:
        loss, grads = self.accumulation.read()
        skipped, no_scale_left = self.update(loss, before, *grads)
        return ops.depend(skipped, self.accumulation.clear()), no_scale_left


def return_freed_memory() -> None:
    """Give the system what compiling has freed: up to 0.7 GB, which the activations would come on top of."""
    with suppress(OSError, AttributeError):  # another system than Linux, or another library than glibc
        ctypes.CDLL(None).malloc_trim(0)
