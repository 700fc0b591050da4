"""Contextual feature aggregation (CTSDG, Sec. 3.3)."""

from mindspore import Tensor, nn, ops

from src.layers.resize import over_channels


class RegionAffinityLearning(nn.Cell):
    """Rebuild a feature map from its own patches, weighted by their affinity (Eq. 6 to 8).

    features: (B, C, H, W), H and W even -> (B, C, H, W)
    """

    def __init__(self, softmax_scale: float = 10.0) -> None:
        super().__init__()
        self.softmax_scale = softmax_scale

    def construct(self, features: Tensor) -> Tensor:
        batch, channels, height, width = features.shape
        half = (height // 2, width // 2)
        small = ops.interpolate(features, size=half, mode="bilinear", align_corners=True)

        patches = ops.unfold(small, 3, padding=1)  # (B, 9C, N), a column for each pixel of the half-size map
        norm = ops.maximum(ops.sqrt((patches * patches).sum(1, keepdims=True)), 1e-4)
        scores = ops.bmm(patches.swapaxes(1, 2), patches / norm) * self.softmax_scale  # (B, N pixels, N kernels)
        affinity = ops.maximum(ops.softmax(scores, -1), 1e-8)

        blocks = ops.unfold(features, 4, padding=1, stride=2)  # (B, 16C, N)
        pasted = ops.bmm(blocks, affinity.swapaxes(1, 2))  # (B, 16C, N)
        pasted = pasted.reshape(batch, channels, 16, -1)
        return ops.fold(pasted, ops.tuple_to_array((height, width)), 4, padding=1, stride=2) / 4.0


class MultiScaleFeatureAggregation(nn.Cell):
    """Dilated convolutions, mixed pixel by pixel with learned weights (Eq. 9 to 11).

    (B, C, H, W) -> (B, C, H, W)
    """

    DILATIONS = (1, 2, 4, 8)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.dilated_convs = nn.CellList(
            [
                nn.SequentialCell(
                    nn.Conv2d(channels, channels, 3, pad_mode="pad", padding=d, dilation=d, has_bias=True), nn.ReLU()
                )
                for d in self.DILATIONS
            ]
        )
        self.weight_calc = nn.SequentialCell(
            nn.Conv2d(channels, channels, 3, pad_mode="pad", padding=1, has_bias=True),
            nn.ReLU(),
            nn.Conv2d(channels, len(self.DILATIONS), 1, has_bias=True),
            nn.ReLU(),
            nn.Softmax(axis=1),
        )

    def construct(self, features: Tensor) -> Tensor:
        weights = self.weight_calc(features)  # (B, 4, H, W)
        aggregated = 0.0
        for i, conv in enumerate(self.dilated_convs):
            aggregated = aggregated + conv(features) * over_channels(weights[:, i : i + 1], self.channels)
        return aggregated


class CFA(nn.Cell):
    """Region affinity learning, then multi-scale aggregation: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.affinity = RegionAffinityLearning()
        self.aggregation = MultiScaleFeatureAggregation(channels)

    def construct(self, features: Tensor) -> Tensor:
        return self.aggregation(self.affinity(features))
