"""The loss scale of mixed precision (Micikevicius et al., ICLR 2018)."""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops


class LossScale(nn.Cell):
    """The factor of a loss that makes its gradients large enough for float16.

    It halves after a step whose gradients are not finite, down to 1. It doubles after `PATIENCE` finite steps in a row.
    """

    FIRST, PATIENCE = 2.0**16, 2000

    def __init__(self, network: str = "network") -> None:
        super().__init__(auto_prefix=False)
        # The factor, and the finite steps since it last changed: together one entry of a checkpoint.
        self.state = Parameter(Tensor([self.FIRST, 0], ms.float32), name=f"{network}.loss_scale", requires_grad=False)

    def factor(self) -> Tensor:
        return self.state[0]

    def adjust(self, finite: Tensor) -> Tensor:
        """After each step: were its gradients finite? -> bool scalar: has the factor been halved?"""
        factor, steps = self.state[0] + 0.0, self.state[1] + 1.0
        grows = ops.logical_and(finite, steps == self.PATIENCE)
        shrinks = ops.logical_and(ops.logical_not(finite), factor > 1.0)
        after = ops.where(grows, 2.0 * factor, ops.where(shrinks, 0.5 * factor, factor))
        steps = ops.where(ops.logical_and(finite, ops.logical_not(grows)), steps, 0.0)
        return ops.depend(shrinks, ops.assign(self.state, ops.stack((after, steps))))
