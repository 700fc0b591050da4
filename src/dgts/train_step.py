"""One iteration of the training of DGTS's generator as one graph."""

from typing import Any

from mindspore import nn

from ..training.train_step import TrainOneStepCell
from .loss import GeneratorLoss


class DGTSTrainOneStepCell(TrainOneStepCell):
    """image: (B, 3, S, S) in [-1, 1]; mask: (B, 1, S, S), 1 = known; key: int32, what dropout follows from
    -> what GeneratorLoss returns

    Options are those of TrainOneStepCell.
    """

    def __init__(self, loss: GeneratorLoss, optimizer: nn.Optimizer, **options: Any) -> None:
        loss.set_train()
        if loss.vgg is not None:
            loss.vgg.set_train(False)
        super().__init__(loss, optimizer, **options)
