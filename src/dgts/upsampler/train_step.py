"""One iteration of the upsampler's training as one graph: its own step, then the discriminator's."""

from mindspore import Tensor, nn, ops

from ...training.counters import BatchCount
from ...training.train_step import TrainOneStepCell
from .loss import DiscriminatorLoss, UpsamplerLoss


class UpsamplerTrainOneStepCell(TrainOneStepCell):
    """image: (B, 3, S, S) in [-1, 1]; mask: (B, 1, S, S), 1 = known; low: (B, 3, S/8, S/8)
    -> what UpsamplerLoss returns, and the discriminator's loss

    The discriminator learns from what the upsampler makes after its step, so the upsampler runs forward twice. By
    network: `options` are those of TrainOneStepCell. `batches` counts what the upsampler's batch norms see.
    """

    def __init__(
        self,
        upsampler_loss: UpsamplerLoss,
        discriminator_loss: DiscriminatorLoss,
        optimizers: dict[str, nn.Optimizer],
        options: dict[str, dict],
        batches: BatchCount,
    ) -> None:
        upsampler_loss.set_train()
        discriminator_loss.set_train()
        if upsampler_loss.vgg is not None:
            upsampler_loss.vgg.set_train(False)
        super().__init__(upsampler_loss, optimizers["upsampler"], **options["upsampler"])
        self.discriminator_step = TrainOneStepCell(
            discriminator_loss, optimizers["discriminator"], has_aux=False, **options["discriminator"]
        )
        self.batches = batches

    def construct(self, image: Tensor, mask: Tensor, low: Tensor) -> tuple:
        results, skipped, no_scale_left = self.step(image, mask, low)
        loss, also_skipped, also_none_left = self.discriminator_step.step(image, mask, low)
        counted = (
            self.count(ops.logical_or(skipped, also_skipped), ops.logical_or(no_scale_left, also_none_left)),
            self.batches(skipped, self.accumulate),
            self.batches(also_skipped, self.accumulate),
        )
        return results, ops.depend(loss, counted)
