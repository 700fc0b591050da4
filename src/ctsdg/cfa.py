"""Contextual feature aggregation (CTSDG, Sec. 3.3)."""

from mindspore import Tensor, nn, ops

from ..layers.conv import Conv2d
from ..layers.patch_attention import PatchAttention
from ..layers.reduce import repeat_channels, sum_channels
from ..layers.unfold import Unfold


class RegionAffinityLearning(nn.Cell):
    """Rebuild a feature map from its own patches, weighted by their affinity (Eq. 6 to 8).

    features: (B, C, H, W), H and W even -> (B, C, H, W)

    The affinity of patch j to patch i is softmax_j(10 · <p_i, p_j> / |p_j|). Patches p are 3×3 pixels of the halved
    map; what is pasted are blocks of 4×4 pixels of the map itself. Four blocks lie over each pixel: the mean counts.

    The published code convolves with the patches of one sample at a time; as matrix products the samples are a batch.
    """

    def __init__(self, softmax_scale: float = 10.0) -> None:
        super().__init__()
        self.softmax_scale = softmax_scale
        self.patches, self.attention = Unfold((3, 3), padding=1), PatchAttention()

    def construct(self, features: Tensor) -> Tensor:
        size = (features.shape[2] // 2, features.shape[3] // 2)
        small = ops.interpolate(features, size=size, mode="bilinear", align_corners=True)
        scale = self.softmax_scale / ops.maximum(self.patch_norms(small), 1e-4)
        return self.attention(small, scale, features) * 0.25

    def patch_norms(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 1, H·W)"""
        batch, channels, height, width = x.shape
        squares = sum_channels((x * x).reshape(batch, channels, height * width)).reshape(batch, 1, height, width)
        return ops.sqrt(sum_channels(self.patches(squares)))


class MultiScaleFeatureAggregation(nn.Cell):
    """Dilated convolutions, mixed pixel by pixel with learned weights (Eq. 9 to 11).

    (B, C, H, W) -> (B, C, H, W)
    """

    DILATIONS = (1, 2, 4, 8)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.dilated_convs = nn.CellList(
            [nn.SequentialCell(Conv2d(channels, channels, 3, dilation=d), nn.ReLU()) for d in self.DILATIONS]
        )
        self.weight_calc = nn.SequentialCell(
            Conv2d(channels, channels, 3),
            nn.ReLU(),
            Conv2d(channels, len(self.DILATIONS), 1),
            nn.ReLU(),
            nn.Softmax(axis=1),
        )

    def construct(self, features: Tensor) -> Tensor:
        batch, _, height, width = features.shape
        weights = self.weight_calc(features).reshape(batch, len(self.DILATIONS), height * width)
        aggregated = 0.0
        for i, conv in enumerate(self.dilated_convs):
            weight = repeat_channels(weights[:, i : i + 1], self.channels).reshape(features.shape)
            aggregated = aggregated + conv(features) * weight
        return aggregated


class CFA(nn.Cell):
    """Region affinity learning, then multi-scale aggregation: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.affinity = RegionAffinityLearning()
        self.aggregation = MultiScaleFeatureAggregation(channels)

    def construct(self, features: Tensor) -> Tensor:
        return self.aggregation(self.affinity(features))
