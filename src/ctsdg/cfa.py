"""Contextual feature aggregation (CTSDG, Sec. 3.3)."""

from mindspore import Tensor, nn, ops

from src.layers.conv import Conv2d
from src.layers.reduce import repeat_channels, sum_channels


class RegionAffinityLearning(nn.Cell):
    """Rebuild a feature map from its own patches, weighted by their affinity (Eq. 6 to 8).

    features: (B, C, H, W), H and W even -> (B, C, H, W)

    The published code convolves with the patches of one sample at a time; as matrix products the samples are a batch.
    Patches overlap, so about half of the multiplications are enough. A patch to compare is three lines of three
    pixels: its products with the others are sums of products of lines, each of which three patches share. A block to
    paste is two halves, of which the next block below shares one: so affinities are added up before they weight them.

    At 256×256 the affinities of all N = H·W/4 patches take 67 MB a sample, at 1,024×1,024 17 GB. So they are worked
    through in strips of some rows of patches: of `ROWS`, or as many as there are within `CACHED` numbers, which is
    faster, but of no more than `LARGEST` numbers, unless a single row has more.
    """

    ROWS, CACHED, LARGEST = 8, 2**21, 2**26

    def __init__(self, softmax_scale: float = 10.0) -> None:
        super().__init__()
        self.softmax_scale = softmax_scale
        self.attend = _Attend()

    def construct(self, features: Tensor) -> Tensor:
        height, width = features.shape[2] // 2, features.shape[3] // 2
        small = ops.interpolate(features, size=(height, width), mode="bilinear", align_corners=True)

        lines = ops.unfold(small, (1, 3), padding=1)  # (B, 3C, N + 2·width): around each pixel, and a row more each way
        squares = sum_channels((small * small).reshape(small.shape[0], -1, height * width))
        squares = ops.unfold(squares.reshape(-1, 1, height, width), 3, padding=1)  # (B, 9, N)
        norm = ops.maximum(ops.sqrt(sum_channels(squares)), 1e-4)
        scale = self.softmax_scale / norm  # (B, 1, N)
        halves = ops.unfold(features, (2, 4), padding=1, stride=2)  # (B, 8C, N + width), pasted at that pixel, or below

        row = features.shape[0] * height * width * width
        rows = _divisor(height, min(max(self.ROWS, self.CACHED // row), self.LARGEST // row))
        strips = ()
        for top in range(0, height, rows):
            # One after the other, or all are in memory at once.
            now = ops.depend(lines, strips[-1]) if strips else lines
            queries = now[:, :, top * width : (top + rows + 2) * width]
            strips += (self._paste(self.attend(queries, lines, scale, halves), rows, width),)
        # Each strip reaches one row into its neighbours: they are blocks of one column that overlap.
        strips = ops.stack(strips, axis=-1).reshape(features.shape[0], features.shape[1], -1, len(strips))
        size = ops.tuple_to_array((2 * height, 2 * width))
        kernel, stride = (2 * rows + 2, 2 * width), (2 * rows, 2 * width)
        return ops.fold(strips, size, kernel, padding=(1, 0), stride=stride) * 0.25

    @staticmethod
    def _paste(halves: Tensor, rows: int, width: int) -> Tensor:
        """Halves that overlap from left to right, (B, 8C, (rows + 1)·width) -> (B, C, 2·rows + 2, 2·width)"""
        halves = halves.reshape(halves.shape[0], -1, 8, (rows + 1) * width)
        size = ops.tuple_to_array((2 * rows + 2, 2 * width))
        return ops.fold(halves, size, (2, 4), padding=(0, 1), stride=2)


@ops.constexpr
def _divisor(number: int, limit: int) -> int:
    """The largest divisor of a number that is not above a limit; 1 if the limit is smaller."""
    return max(i for i in range(1, number + 1) if number % i == 0 and i <= max(1, limit))


class _Attend(nn.Cell):
    """Attention of M patches to N, with a floor, where both are rows of a map `width` patches wide.

    queries (B, K, M + 2·width), keys (B, K, N + 2·width): lines, three below each other for a patch;
    scale (B, 1, N): of the products with each key; values (B, V, N + width): halves, two below each other for a block
    -> (B, V, M + width)

    The backward is written out because it then keeps fewer M×N matrices than automatic differentiation does.
    """

    FLOOR = 1e-8
    LINES, HALVES = 3, 2

    def __init__(self) -> None:
        super().__init__()
        # Primitives: MindSpore 2.10 cannot compile a bprop that calls functions with branches, such as ops.softmax.
        self.softmax = ops.Softmax(-1)  # keys last: over any other axis it is 20 times slower on CPU
        self.slice = ops.Slice()  # StridedSlice takes 40 times as long here
        self.zeros, self.ones_like = ops.Zeros(), ops.OnesLike()
        self.below, self.beside, self.repeat = ops.Concat(1), ops.Concat(2), ops.Tile()
        self.product = ops.BatchMatMul()
        self.product_tn = ops.BatchMatMul(transpose_a=True)
        self.product_nt = ops.BatchMatMul(transpose_b=True)

    def construct(self, queries: Tensor, keys: Tensor, scale: Tensor, values: Tensor) -> Tensor:
        width = keys.shape[2] - values.shape[2]
        _, affinity = self.affinity(queries, keys, scale, width)
        return self.product_nt(values, self.spread(affinity, self.HALVES, width))

    def affinity(self, queries: Tensor, keys: Tensor, scale: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """-> the products of patches, their affinity: both (B, M, N)"""
        products = self.gather(self.product_tn(queries, keys), self.LINES, width)
        scores = products * self.repeat(scale, (1, products.shape[1], 1))
        return products, ops.maximum(self.softmax(scores), self.FLOOR)

    def gather(self, x: Tensor, count: int, width: int) -> Tensor:
        """The sum of x[i + k·width, j + k·width] for all k < count, at each i and j where all of them are."""
        batch, rows, columns = x.shape
        size = (batch, rows - (count - 1) * width, columns - (count - 1) * width)
        total = self.slice(x, (0, 0, 0), size)
        for k in range(1, count):
            total = total + self.slice(x, (0, k * width, k * width), size)
        return total

    def spread(self, x: Tensor, count: int, width: int) -> Tensor:
        """What `gather` is transposed: each x[i, j] added to all places [i + k·width, j + k·width]."""
        rows = x.shape[1]
        zeros = self.zeros((x.shape[0], rows, width), x.dtype)
        total = self.beside((x,) + (zeros,) * (count - 1))
        for k in range(1, count):
            part = self.beside((zeros,) * k + (x,) + (zeros,) * (count - 1 - k))
            # Row by row: zeros above and below would be constants of `width` whole rows, in exported files too.
            parts = (self.rows(total, 0, k * width),)
            if rows > width:
                parts += (self.rows(total, k * width, rows - width) + self.rows(part, 0, rows - width),)
            total = self.below((*parts, self.rows(part, rows - width, width)))
        return total

    def rows(self, x: Tensor, first: int, count: int) -> Tensor:
        return self.slice(x, (0, first, 0), (x.shape[0], count, x.shape[2]))

    def bprop(
        self, queries: Tensor, keys: Tensor, scale: Tensor, values: Tensor, out: Tensor, dout: Tensor
    ) -> tuple[Tensor, ...]:
        width = keys.shape[2] - values.shape[2]
        products, affinity = self.affinity(queries, keys, scale, width)
        d_values = self.product(dout, self.spread(affinity, self.HALVES, width))
        d_affinity = self.gather(self.product_tn(dout, values), self.HALVES, width)
        # The softmax's gradient is affinity · (d_affinity - their mean). What the floor lifts (to 1e-8) has no share.
        weighted = affinity * d_affinity
        mean = self.product(weighted, self.ones_like(scale).swapaxes(1, 2))  # (B, M, 1)
        d_scores = weighted - affinity * self.product(mean, self.ones_like(scale))
        d_scale = self.product_tn(self.ones_like(mean), d_scores * products)
        d_products = self.spread(d_scores * self.repeat(scale, (1, mean.shape[1], 1)), self.LINES, width)
        return self.product_nt(keys, d_products), self.product(queries, d_products), d_scale, d_values


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
