"""Contextual feature aggregation (CTSDG, Sec. 3.3)."""

from mindspore import Tensor, nn, ops

from src.layers.conv import Conv2d
from src.layers.reduce import repeat_channels, sum_channels


class RegionAffinityLearning(nn.Cell):
    """Rebuild a feature map from its own patches, weighted by their affinity (Eq. 6 to 8).

    features: (B, C, H, W), H and W even -> (B, C, H, W)

    The published code convolves with the patches of one sample at a time; as matrix products the samples are a batch.
    At 256×256 the affinities of all N = H·W/4 patches take 67 MB a sample, at 1,024×1,024 17 GB. So they are worked
    through in strips, some rows of patches at a time, of `LARGEST` numbers at most where a row has no more.
    """

    LARGEST = 2**25

    def __init__(self, softmax_scale: float = 10.0) -> None:
        super().__init__()
        self.softmax_scale = softmax_scale
        self.attend = _Attend()

    def construct(self, features: Tensor) -> Tensor:
        height, width = features.shape[2] // 2, features.shape[3] // 2
        small = ops.interpolate(features, size=(height, width), mode="bilinear", align_corners=True)

        patches = ops.unfold(small, 3, padding=1)  # (B, 9C, N), a column for each pixel of the half-size map
        squares = sum_channels((small * small).reshape(small.shape[0], -1, height * width))
        squares = ops.unfold(squares.reshape(-1, 1, height, width), 3, padding=1)  # (B, 9, N)
        norm = ops.maximum(ops.sqrt(sum_channels(squares)), 1e-4)
        blocks = ops.unfold(features, 4, padding=1, stride=2)  # (B, 16C, N), what is pasted at that pixel

        keys = patches * repeat_channels(self.softmax_scale / norm, patches.shape[1])

        rows = _divisor(height, self.LARGEST // (height * width * width))
        strips = ()
        for top in range(0, height, rows):
            queries = patches[:, :, top * width : (top + rows) * width]
            if strips:
                queries = ops.depend(queries, strips[-1])  # one after the other, or all are in memory at once
            strips += (self._paste(self.attend(queries, keys, blocks), rows, width),)
        # Each strip reaches one row into its neighbours: they are blocks of one column that overlap.
        strips = ops.stack(strips, axis=-1).reshape(features.shape[0], features.shape[1], -1, len(strips))
        size = ops.tuple_to_array((2 * height, 2 * width))
        kernel, stride = (2 * rows + 2, 2 * width), (2 * rows, 2 * width)
        return ops.fold(strips, size, kernel, padding=(1, 0), stride=stride) * 0.25

    @staticmethod
    def _paste(blocks: Tensor, rows: int, width: int) -> Tensor:
        """Overlapping blocks of some rows of patches, (B, 16C, rows·width) -> (B, C, 2·rows + 2, 2·width)"""
        blocks = blocks.reshape(blocks.shape[0], -1, 16, rows * width)
        size = ops.tuple_to_array((2 * rows + 2, 2 * width))
        return ops.fold(blocks, size, 4, padding=(0, 1), stride=2)


@ops.constexpr
def _divisor(number: int, limit: int) -> int:
    """The largest divisor of a number that is not above a limit; 1 if the limit is smaller."""
    return max(i for i in range(1, number + 1) if number % i == 0 and i <= max(1, limit))


class _Attend(nn.Cell):
    """Attention with a floor: queries (B, K, M), keys (B, K, N), values (B, V, N) -> (B, V, M).

    The backward is written out because it then works with three M×N matrices, where automatic differentiation keeps
    about ten.
    """

    FLOOR = 1e-8

    def __init__(self) -> None:
        super().__init__()
        # Primitives: MindSpore 2.10 cannot compile a bprop that calls functions with branches, such as ops.softmax.
        self.softmax = ops.Softmax(-1)  # keys last: over any other axis it is 20 times slower on CPU
        self.stack, self.ones_like = ops.Concat(1), ops.OnesLike()
        self.product = ops.BatchMatMul()
        self.product_tn = ops.BatchMatMul(transpose_a=True)
        self.product_nt = ops.BatchMatMul(transpose_b=True)

    def construct(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        return self.product_nt(values, self.affinity(queries, keys))

    def affinity(self, queries: Tensor, keys: Tensor) -> Tensor:
        return ops.maximum(self.softmax(self.product_tn(queries, keys)), self.FLOOR)

    def bprop(self, queries: Tensor, keys: Tensor, values: Tensor, out: Tensor, dout: Tensor) -> tuple:
        affinity = self.affinity(queries, keys)
        d_values = self.product(dout, affinity)
        # The softmax's gradient is affinity · (d_affinity - mean), where the mean over keys equals Σ dout · out. Taken
        # as one more row of the product it costs no M×N matrix. What the floor lifts (to 1e-8) has no share in it.
        mean = self.product(self.ones_like(out[:, :, :1]).swapaxes(1, 2), dout * out)  # (B, 1, M)
        minus_ones = -self.ones_like(values[:, :1])
        centred = self.product_tn(self.stack((dout, mean)), self.stack((values, minus_ones)))
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
