"""One optimizer step as a cell."""

import mindspore as ms
from mindspore import nn, ops


class TrainOneStep(nn.TrainOneStepCell):
    """nn.TrainOneStepCell for networks that return (loss, more…); the forward runs once.

    batch -> (loss, more…), after the optimizer's step
    """

    def __init__(self, network: nn.Cell, optimizer: nn.Optimizer) -> None:
        super().__init__(network, optimizer)
        self.loss_and_grads = ms.value_and_grad(network, None, self.weights, has_aux=True)

    def construct(self, *batch):
        results, grads = self.loss_and_grads(*batch)
        return ops.depend(results, self.optimizer(self.grad_reducer(grads)))
