"""The exponential moving average of a network's weights."""

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from .parameters import each


class Average(nn.Cell):
    """Follows what a network learns and its batch statistics, from their values now on. Each call is one update.

    Batch statistics are averaged too: those of the last few batches do not fit weights that are a mean over hundreds of
    iterations. After n updates the decay is (1 + n) / (10 + n), until that reaches `decay`, so that the weights which a
    run begins with do not linger in the average of a short one.
    """

    STATISTICS = ("moving_mean", "moving_variance")

    def __init__(self, network: nn.Cell, decay: float) -> None:
        super().__init__(auto_prefix=False)
        followed = {
            name: parameter
            for name, parameter in network.parameters_and_names()
            if parameter.requires_grad or name.endswith(self.STATISTICS)
        }
        self.names, self.weights, self.least_share = tuple(followed), ParameterTuple(followed.values()), 1.0 - decay
        self.averages = self.weights.clone(prefix="ema", init="same")
        self.updates = Parameter(Tensor(0, ms.int32), name="average_updates", requires_grad=False)

    def construct(self) -> tuple:
        share = ops.maximum(9.0 / (self.updates + 10.0), self.least_share)
        done = each(ops.partial(_approach, share), self.averages, self.weights)
        return done, ops.assign_add(self.updates, ops.depend(Tensor(1, ms.int32), share))

    def named(self) -> dict[str, Parameter]:
        """The averages by the names that their parameters have in the network."""
        return dict(zip(self.names, self.averages, strict=True))


def _approach(share: Tensor, average: Parameter, weight: Parameter) -> Tensor:
    return ops.assign(average, average + share * (weight - average))
