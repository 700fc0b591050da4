"""One optimizer step as a cell."""

import mindspore as ms
from mindspore import nn, ops


class TrainOneStep(nn.TrainOneStepCell):
    """nn.TrainOneStepCell whose forward runs once, also operator by operator, for networks that may return more.

    batch -> loss, or with has_aux (loss, more…), after the optimizer's step
    """

    def __init__(self, network: nn.Cell, optimizer: nn.Optimizer, has_aux: bool = True) -> None:
        super().__init__(network, optimizer)
        self.loss_and_grads = ms.value_and_grad(network, None, self.weights, has_aux)

    def construct(self, *batch):
        results, grads = self.loss_and_grads(*batch)
        return ops.depend(results, self.optimizer(self.grad_reducer(grads)))
