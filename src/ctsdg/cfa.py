"""Contextual feature aggregation (CTSDG, Sec. 3.3)."""

from mindspore import Tensor, nn, ops

from src.layers.conv import Conv2d
from src.layers.reduce import repeat_channels, sum_channels


class RegionAffinityLearning(nn.Cell):
    """Rebuild a feature map from its own patches, weighted by their affinity (Eq. 6 to 8).

    features: (B, C, H, W), H and W even -> (B, C, H, W)

    The published code convolves with the patches of one sample at a time; as matrix products the samples are a batch.
    """

    def __init__(self, softmax_scale: float = 10.0) -> None:
        super().__init__()
        self.softmax_scale = softmax_scale
        self.attend = _Attend()

    def construct(self, features: Tensor) -> Tensor:
        batch, channels, height, width = features.shape
        half = (height // 2, width // 2)
        small = ops.interpolate(features, size=half, mode="bilinear", align_corners=True)

        patches = ops.unfold(small, 3, padding=1)  # (B, 9C, N), a column for each pixel of the half-size map
        norm = ops.maximum(ops.sqrt(sum_channels(patches * patches)), 1e-4)
        blocks = ops.unfold(features, 4, padding=1, stride=2)  # (B, 16C, N), what is pasted at that pixel

        keys = patches * repeat_channels(self.softmax_scale / norm, 9 * channels)

        pasted = self.attend(patches, keys, blocks)
        pasted = pasted.reshape(batch, channels, 16, half[0] * half[1])
        return ops.fold(pasted, ops.tuple_to_array((height, width)), 4, padding=1, stride=2) * 0.25


class _Attend(nn.Cell):
    """Attention with a floor: queries, keys (B, K, N), values (B, V, N) -> (B, V, N).

    At 256×256 an N×N matrix takes 67 MB a sample, at 1,024×1,024 17 GB: so the forward takes no more than `LARGEST`
    numbers of it at a time. The backward is written out because it then works with three whole ones, where automatic
    differentiation keeps about ten.
    """

    FLOOR = 1e-8
    LARGEST = 2**24

    def __init__(self) -> None:
        super().__init__()
        # Primitives: MindSpore 2.10 cannot compile a bprop that calls functions with branches, such as ops.softmax.
        self.softmax = ops.Softmax(-1)  # keys last: over any other axis it is 20 times slower on CPU
        self.stack, self.ones_like = ops.Concat(1), ops.OnesLike()
        self.product = ops.BatchMatMul()
        self.product_tn = ops.BatchMatMul(transpose_a=True)
        self.product_nt = ops.BatchMatMul(transpose_b=True)

    def construct(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        pixels = queries.shape[2]
        step = max(1, self.LARGEST // pixels)
        if step >= pixels:
            return self.product_nt(values, self.affinity(queries, keys))
        parts = ()
        for start in range(0, pixels, step):
            part = queries[:, :, start : start + step]
            if parts:
                part = ops.depend(part, parts[-1])  # one after the other, or all of them are in memory at once
            parts += (self.product_nt(values, self.affinity(part, keys)),)
        return ops.cat(parts, axis=2)

    def affinity(self, queries: Tensor, keys: Tensor) -> Tensor:
        return ops.maximum(self.softmax(self.product_tn(queries, keys)), self.FLOOR)

    def bprop(self, queries: Tensor, keys: Tensor, values: Tensor, out: Tensor, dout: Tensor) -> tuple:
        affinity = self.affinity(queries, keys)
        d_values = self.product(dout, affinity)
        # The softmax's gradient is affinity · (d_affinity - mean), where the mean over keys equals Σ dout · out. Taken
        # as one more row of the product it costs no N×N matrix. What the floor lifts (to 1e-8) has no share in it.
        mean = self.product(self.ones_like(out[:, :, :1]).swapaxes(1, 2), dout * out)  # (B, 1, N)
        centred = self.product_tn(self.stack((dout, mean)), self.stack((values, -self.ones_like(mean))))
        d_scores = affinity * centred
        return self.product_nt(keys, d_scores), self.product(queries, d_scores), d_values


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
