"""One optimizer step as one compiled graph, which is not taken where losses or gradients are not finite."""

import ctypes
import itertools
from contextlib import suppress

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from src.layers.reduce import sum_squares

# For every parameter. Not a loop: in a graph each turn of one is a function in a function, of which MindSpore allows a
# thousand.
each = ops.HyperMap()


class TrainOneStepCell(nn.TrainOneStepCell):
    """batch -> loss, or with has_aux (loss, more…), after the optimizer's step. The forward runs once.

    accumulate: micro-batches that a batch is cut into. Of what the network returns, numbers are averaged over them and
    pictures joined. clip: largest norm of all gradients together; 0 leaves them. average: follows the weights.
    loss_scale: for networks that compute in float16.

    Where the loss or a gradient is not finite, on any rank, the step is skipped: weights, optimizer, average, batch
    statistics and spectral norms stay as they were. What the network returned is then what it is. `count` tells of it.

    Nothing here is read by the host. A model with several networks inherits this cell for the first of them, has
    further ones for the others, and calls their `step` in its own `construct`, all in one graph. With accumulate > 1
    the graphs are several: of a micro-batch, and of what follows the last one.

    Make it when the cells of the network are in training, or frozen, as they are to be.
    """

    def __init__(
        self,
        network: nn.Cell,
        optimizer: nn.Optimizer,
        has_aux: bool = True,
        accumulate: int = 1,
        clip: float = 0.0,
        average: "Average | None" = None,
        loss_scale: "LossScale | None" = None,
        count: "SkipCount | None" = None,
    ) -> None:
        super().__init__(network, optimizer)
        self.accumulate = accumulate
        self.gradients = Gradients(network, self.weights, has_aux, loss_scale)
        self.state = ForwardState(network)
        self.commit = Commit(
            optimizer, self.grad_reducer, self.reducer_flag, self.state, accumulate, clip, average, loss_scale
        )
        self.count = count or SkipCount()
        self.trimmed = False
        if accumulate > 1:
            self.accumulation = Accumulation(self.gradients, self.weights)
            self.commit_accumulated = CommitAccumulated(self.accumulation, self.commit)

    def construct(self, *batch):
        results, skipped, hopeless = self.step(*batch)
        return ops.depend(results, self.count(skipped, hopeless))

    def step(self, *batch) -> tuple:
        """-> what the network returns; was the step skipped, and is no smaller loss scale left to try: bool scalars"""
        if self.accumulate > 1:
            return self._accumulate(batch)
        kept = self.state()
        results, loss, grads = self.gradients(ops.depend(batch[0], kept), *batch[1:])
        return results, *self.commit(loss, kept, *grads)

    def __call__(self, *batch):
        if self.accumulate > 1:
            return self.construct(*batch)  # whose parts are compiled, not the whole
        return super().__call__(*batch)

    def compile(self, *args: object, **kwargs: object) -> None:
        super().compile(*args, **kwargs)
        if not self.trimmed:
            give_back_memory()
        self.trimmed = True

    def _accumulate(self, batch: tuple) -> tuple:
        kept = self.state()
        # What has no batch axis, such as the key of a dropout, goes with each.
        columns = [ops.split(x, len(x) // self.accumulate) if x.ndim else [x] * self.accumulate for x in batch]
        results = [self.accumulation(*micro_batch) for micro_batch in zip(*columns, strict=True)]
        return join(results), *self.commit_accumulated(kept)


class Gradients(nn.Cell):
    """batch -> what the network returns, its loss, and the gradients of the loss, scaled."""

    def __init__(self, network: nn.Cell, weights: ParameterTuple, has_aux: bool, scale: "LossScale | None") -> None:
        super().__init__(auto_prefix=False)
        self.network = ScaledLoss(network, has_aux, scale)
        self.loss_and_grads = ms.value_and_grad(self.network, None, weights, has_aux=True)

    def construct(self, *batch):
        (_, results, loss), grads = self.loss_and_grads(*batch)
        return results, loss, grads


class ScaledLoss(nn.Cell):
    """batch -> the loss, scaled, for its gradients; what the network returns; the loss"""

    def __init__(self, network: nn.Cell, has_aux: bool, scale: "LossScale | None") -> None:
        super().__init__(auto_prefix=False)
        self.network, self.has_aux, self.scale = network, has_aux, scale

    def construct(self, *batch):
        results = self.network(*batch)
        loss = results[0] if self.has_aux else results
        return loss if self.scale is None else loss * self.scale.value, results, loss


class Commit(nn.Cell):
    """The optimizer's step with averaged gradients, or none.

    loss: scalar, or a sum of them; kept: what ForwardState gave before the forward; grads: sums over micro-batches,
    scaled -> was the step skipped, and is no smaller loss scale left to try: bool scalars
    """

    def __init__(
        self,
        optimizer: nn.Optimizer,
        reducer: nn.Cell,
        distributed: bool,
        state: "ForwardState",
        accumulate: int,
        clip: float,
        average: "Average | None",
        loss_scale: "LossScale | None",
    ) -> None:
        super().__init__(auto_prefix=False)
        self.optimizer, self.reducer, self.state = optimizer, reducer, state
        self.sum_ranks = ops.AllReduce() if distributed else None
        self.accumulate, self.clip, self.average, self.scale = accumulate, clip, average, loss_scale

    def construct(self, loss: Tensor, kept: Tensor, *grads: Tensor) -> tuple:
        grads = self.reducer(grads)
        squares = ops.addn(each(sum_squares, grads))
        # 0 if all is finite and no gradient longer than 1e19, else NaN. Losses differ between ranks, gradients do not.
        fault = 0.0 * squares + 0.0 * loss
        finite = (fault if self.sum_ranks is None else self.sum_ranks(fault)) == 0.0
        done = self._update(squares, grads) if finite else self.state.restore(kept)
        skipped = ops.depend(ops.logical_not(finite), done)
        if self.scale is None:
            return skipped, skipped
        return skipped, ops.logical_and(skipped, ops.logical_not(self.scale.adjust(finite)))

    def _update(self, squares: Tensor, grads: tuple) -> Tensor:
        factor = 1.0 / self.accumulate
        if self.scale is not None:
            factor = factor / self.scale.value
        if self.clip:
            norm = ops.sqrt(squares) * factor
            factor = factor * ops.minimum(1.0, self.clip / (norm + 1e-6))
        if self.clip or self.accumulate > 1 or self.scale is not None:
            grads = each(ops.partial(ops.mul, factor), grads)
        done = self.optimizer(grads)
        if self.average is not None:
            done = ops.depend(self.average(), done)
        return ops.depend(ops.zeros_like(squares), done)


class ForwardState(nn.Cell):
    """What a forward changes by itself: what does not learn in cells that train. -> all of it as one vector"""

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

    def restore(self, kept: Tensor) -> Tensor:
        """Put back what construct gave. -> scalar, when it is done"""
        done = ops.zeros((), ms.float32)
        if self.sizes:
            put = ops.partial(_put, self.slice, kept)
            done = ops.depend(done, each(put, self.parameters, self.starts, self.sizes))
        return done


def _flat(parameter: Parameter) -> Tensor:
    return parameter.reshape(-1)


def _put(part: ops.Primitive, vector: Tensor, parameter: Parameter, start: int, size: int) -> Tensor:
    return ops.assign(parameter, part(vector, (start,), (size,)).reshape(parameter.shape))


class LossScale(nn.Cell):
    """What a loss is multiplied with so that its gradients are large enough for float16 (Micikevicius et al., 2018).

    It halves when they are too large, and doubles after `PATIENCE` steps that were not.
    """

    FIRST, PATIENCE = 2.0**16, 2000

    def __init__(self, network: str = "network") -> None:
        super().__init__(auto_prefix=False)
        self.value = Parameter(Tensor(self.FIRST, ms.float32), name=f"{network}.loss_scale", requires_grad=False)
        self.good_steps = Parameter(Tensor(0, ms.int32), name=f"{network}.good_steps", requires_grad=False)

    def set(self, value: float, good_steps: int) -> None:
        self.value.set_data(Tensor(value, ms.float32))
        self.good_steps.set_data(Tensor(good_steps, ms.int32))

    def read(self) -> tuple[float, int]:
        """For the host: the factor, and steps since it last changed."""
        return float(self.value.asnumpy()), int(self.good_steps.asnumpy())

    def adjust(self, finite: Tensor) -> Tensor:
        """After each step. -> bool scalar: was the scale too large, and is it smaller now?"""
        value, steps = self.value + 0.0, self.good_steps + 1
        grows = steps == self.PATIENCE
        after = ops.where(finite, ops.where(grows, 2.0 * value, value), ops.maximum(0.5 * value, 1.0))
        steps = ops.where(ops.logical_and(finite, ops.logical_not(grows)), steps, 0)
        lowered = ops.logical_and(ops.logical_not(finite), value > 1.0)
        return ops.depend(lowered, (ops.assign(self.value, after), ops.assign(self.good_steps, steps)))


class SkipCount(nn.Cell):
    """Iterations that were skipped: of all, and of the last ones.

    Of the latter, one that a smaller loss scale may mend neither counts nor ends the count.
    """

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.skipped = Parameter(Tensor(0, ms.int32), name="skipped", requires_grad=False)
        self.in_a_row = Parameter(Tensor(0, ms.int32), name="skipped_in_a_row", requires_grad=False)

    def construct(self, skipped: Tensor, hopeless: Tensor) -> tuple:
        in_a_row = ops.where(skipped, self.in_a_row + hopeless.astype(ms.int32), 0)
        total = self.skipped + skipped.astype(ms.int32)
        return ops.assign(self.skipped, total), ops.assign(self.in_a_row, in_a_row)

    def set(self, skipped: int, in_a_row: int) -> None:
        self.skipped.set_data(Tensor(skipped, ms.int32))
        self.in_a_row.set_data(Tensor(in_a_row, ms.int32))

    def read(self) -> tuple[int, int]:
        """For the host: skipped iterations, and those in a row up to now."""
        return int(self.skipped.asnumpy()), int(self.in_a_row.asnumpy())


class BatchCount(nn.Cell):
    """Batches that a network's batch norms have seen, and kept: PyTorch's num_batches_tracked."""

    def __init__(self, network: str) -> None:
        super().__init__(auto_prefix=False)
        self.batches = Parameter(Tensor(0, ms.int32), name=f"{network}_batches_tracked", requires_grad=False)

    def construct(self, skipped: Tensor, count: int) -> Tensor:
        """`count` more, unless the step was skipped."""
        return ops.assign_add(self.batches, ops.where(skipped, 0, count).astype(ms.int32))

    def set(self, batches: int) -> None:
        self.batches.set_data(Tensor(batches, ms.int32))

    def read(self) -> int:
        """For the host."""
        return int(self.batches.asnumpy())


class Average(nn.Cell):
    """The exponential moving average of what a network learns, from what it is now on, batch statistics included:
    those of the last few batches do not fit weights that are a mean over hundreds of iterations.

    After n updates the decay is (1 + n) / (10 + n), until that reaches `decay`: the weights that a run begins with do
    not linger in the average of a short one.
    """

    STATISTICS = ("moving_mean", "moving_variance")

    def __init__(self, network: nn.Cell, decay: float) -> None:
        super().__init__(auto_prefix=False)
        learnt = {
            name: parameter
            for name, parameter in network.parameters_and_names()
            if parameter.requires_grad or name.endswith(self.STATISTICS)
        }
        self.names, self.weights, self.share = tuple(learnt), ParameterTuple(learnt.values()), 1.0 - decay
        self.averages = self.weights.clone(prefix="ema", init="same")
        self.updates = Parameter(Tensor(0, ms.int32), name="ema_updates", requires_grad=False)

    def construct(self) -> tuple:
        share = ops.maximum(9.0 / (self.updates + 10.0), self.share)
        done = each(ops.partial(_approach, share), self.averages, self.weights)
        return done, ops.assign_add(self.updates, ops.depend(Tensor(1, ms.int32), share))

    def set(self, updates: int) -> None:
        self.updates.set_data(Tensor(updates, ms.int32))

    def read(self) -> int:
        """For the host: how often it has followed."""
        return int(self.updates.asnumpy())

    def named(self) -> dict[str, Parameter]:
        return dict(zip(self.names, self.averages, strict=True))


def _approach(share: Tensor, average: Parameter, weight: Parameter) -> Tensor:
    return ops.assign(average, average + share * (weight - average))


class Accumulation(nn.Cell):
    """Sums the gradients and losses of micro-batches: micro-batch -> what the network returns."""

    def __init__(self, gradients: Gradients, weights: ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.gradients = gradients
        self.sums = weights.clone(prefix="sum", init="zeros")
        self.loss = Parameter(Tensor(0.0, ms.float32), name="sum.loss", requires_grad=False)

    def construct(self, *batch):
        results, loss, grads = self.gradients(*batch)
        added = each(ops.assign_add, self.sums, grads)
        return ops.depend(results, (added, ops.assign_add(self.loss, loss)))


class CommitAccumulated(nn.Cell):
    """`commit` with what an Accumulation has summed up, which begins anew."""

    def __init__(self, accumulation: Accumulation, commit: Commit) -> None:
        super().__init__(auto_prefix=False)
        self.accumulation, self.commit = accumulation, commit

    def construct(self, kept: Tensor) -> tuple:
        sums, loss = self.accumulation.sums, self.accumulation.loss
        skipped, hopeless = self.commit(loss + 0.0, kept, *each(_value, sums))
        cleared = each(_clear, sums), ops.assign(loss, 0.0 * ops.ones_like(loss))
        return ops.depend(skipped, cleared), hopeless


def _value(parameter: Parameter) -> Tensor:
    return parameter * 1.0


def _clear(parameter: Parameter) -> Tensor:
    return ops.assign(parameter, ops.zeros_like(parameter))


def give_back_memory() -> None:
    """Let the C library return what compiling has freed: up to 0.7 GB, which the activations would come on top of."""
    with suppress(OSError, AttributeError):  # another system than Linux, or another library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def name_apart(optimizers: dict[str, nn.Optimizer]) -> None:
    """Prefix the names of what every optimizer has (its step, its rate) with a network's, as one graph demands.

    Otherwise MindSpore gives all parameters new names, and those of checkpoints change.
    """
    for network, optimizer in optimizers.items():
        for name, parameter in optimizer.parameters_and_names():
            if "." not in name:
                parameter.name = f"{network}.{name}"


def join(results: list):
    """What a network returned for each micro-batch, as if for one batch."""
    first = results[0]
    if isinstance(first, tuple):
        return tuple(join(list(parts)) for parts in zip(*results, strict=True))
    if isinstance(first, Tensor) and first.ndim:
        return ops.cat(results)
    return sum(results[1:], first) / len(results)
