"""What a training step counts: skipped iterations, and batches that batch norms have seen."""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops


class SkipCount(nn.Cell):
    """skipped, no_scale_left: bool scalars of an iteration, as TrainOneStepCell.step has them -> the new counts"""

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        # Skipped iterations of all, and those in a row up to now: together one entry of a checkpoint.
        self.counts = Parameter(Tensor([0, 0], ms.int32), name="skipped", requires_grad=False)

    def construct(self, skipped: Tensor, no_scale_left: Tensor) -> Tensor:
        total, in_a_row = self.counts[0] + skipped.astype(ms.int32), self.counts[1]
        # An iteration that a smaller loss scale may mend neither counts as one of a row nor ends the row.
        in_a_row = ops.where(skipped, in_a_row + no_scale_left.astype(ms.int32), 0)
        return ops.assign(self.counts, ops.stack((total, in_a_row)))


class BatchCount(nn.Cell):
    """Batches that a network's batch norms have taken into their statistics: PyTorch's num_batches_tracked.

    skipped: bool scalar; count: batches more, if the step was not skipped -> the new number
    """

    def __init__(self, network: str) -> None:
        super().__init__(auto_prefix=False)
        self.batches = Parameter(Tensor(0, ms.int32), name=f"{network}_batches_tracked", requires_grad=False)

    def construct(self, skipped: Tensor, count: int) -> Tensor:
        return ops.assign_add(self.batches, ops.where(skipped, 0, count).astype(ms.int32))
