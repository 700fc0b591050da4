"""One iteration of CTSDG's training as one graph (Sec. 3.5): the generator's step, then the discriminator's."""

from mindspore import Tensor, nn, ops

from ..training.counters import BatchCount
from ..training.train_step import TrainOneStepCell
from .loss import DiscriminatorLoss, GeneratorLoss


class CTSDGTrainOneStepCell(TrainOneStepCell):
    """image: (B, 3, H, W) in [-1, 1]; mask: (B, 1, H, W), 1 = known; edge, gray: (B, 1, H, W) in [0, 1]
    -> what GeneratorLoss returns, and the discriminator's loss

    The generator runs forward once: the discriminator learns from the output of before the generator's step.
    Where the adversarial loss has no weight, the discriminator does not learn, and its loss is 0.
    norms_frozen: the generator's batch norms use their running statistics and keep them, while their scales still
    learn. By network: `options` are those of TrainOneStepCell, `batches_tracked` counts what its batch norms see.
    """

    def __init__(
        self,
        generator_loss: GeneratorLoss,
        discriminator_loss: DiscriminatorLoss,
        optimizers: dict[str, nn.Optimizer],
        options: dict[str, dict],
        batches_tracked: dict[str, BatchCount],
        norms_frozen: bool = False,
    ) -> None:
        prepare(generator_loss, norms_frozen)
        discriminator_loss.set_train()
        super().__init__(generator_loss, optimizers["generator"], **options["generator"])
        self.discriminator_step = TrainOneStepCell(
            discriminator_loss, optimizers["discriminator"], has_aux=False, **options["discriminator"]
        )
        self.adversarial = generator_loss.weights.adversarial > 0
        self.generator_batches = batches_tracked["generator"]
        self.discriminator_batches = batches_tracked["discriminator"]
        self.generator_counts = 0 if norms_frozen else self.accumulate

    def construct(self, image: Tensor, mask: Tensor, edge: Tensor, gray: Tensor) -> tuple:
        results, skipped, no_scale_left = self.step(image, mask, edge, gray)
        if not self.adversarial:
            counted = self.count(skipped, no_scale_left), self.generator_batches(skipped, self.generator_counts)
            return results, ops.depend(ops.zeros_like(results[0]), counted)
        loss, also_skipped, also_none_left = self.discriminator_step.step(image, results[2], edge, gray)
        # The discriminator sees a batch for the generator's step, then real and generated images.
        counted = (
            self.count(ops.logical_or(skipped, also_skipped), ops.logical_or(no_scale_left, also_none_left)),
            self.generator_batches(skipped, self.generator_counts),
            self.discriminator_batches(skipped, self.accumulate),
            self.discriminator_batches(also_skipped, 2 * self.accumulate),
        )
        return results, ops.depend(loss, counted)


def prepare(loss: GeneratorLoss, norms_frozen: bool) -> None:
    """Set what trains."""
    loss.set_train()
    if loss.vgg is not None:
        loss.vgg.set_train(False)
    if norms_frozen:
        for _, cell in loss.generator.cells_and_names():
            if isinstance(cell, nn.BatchNorm2d):
                cell.set_train(False)
