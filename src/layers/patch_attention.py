"""Attention between all patches of a feature map, with each product computed once that patches share."""

from mindspore import Tensor, nn, ops

from .reduce import softmax_grad, sum_channels
from .unfold import Unfold, fold


class PatchAttention(nn.Cell):
    """Compares the 3×3 patches of one map, and pastes the blocks of another by what they have in common.

    small: (B, C, H, W), a patch around each of N = H·W pixels; scale: (B, 1, N);
    features: (B, D, 2H, 2W), N blocks of 4×4 pixels with their centre where the patch has it
    -> (B, D, 2H, 2W): at each patch i lies Σ_j max(softmax_j(scale_j · <patch i, patch j>), 1e-8) · block j. Blocks
    overlap, four over each pixel, and are added up.

    About half of the multiplications are enough. A patch is three lines of three pixels, a block is two halves of two
    rows, and in a column of the map neighbours share them:

        line 1 ┐                     half 1 ┐
        line 2 │ patch 2 ┐           half 2 ┘ block 1 ┐
        line 3 ┘         │ patch 3   half 3           ┘ block 2
        line 4           ┘

    Numbered row by row, W in a row: the lines of patch i are i - W, i and i + W, the halves of block j are j and j + W.

    - <patch i, patch j> = L[i - W, j - W] + L[i, j] + L[i + W, j + W], where L are the products of all lines with all.
      Each is computed once, for three pairs of patches.
    - At half i of the result lie Σ_j a[i, j] · half j and Σ_j a[i - W, j] · half j + W, from the block here and the one
      above: together Σ_j (a[i, j] + a[i - W, j - W]) · half j. Each half is weighted once, for two blocks.

    At 256×256 the affinities of all N patches take 67 MB a sample, at 1,024×1,024 17 GB. So they are worked through in
    strips of some rows of patches: of `ROWS`, or as many as there are within `CACHED` numbers, which is faster, but of
    no more than `LARGEST` numbers, unless a single row has more.
    """

    ROWS, CACHED, LARGEST = 8, 2**21, 2**26

    def __init__(self) -> None:
        super().__init__()
        self.to_lines = Unfold((1, 3), padding=1)
        self.to_halves = Unfold((2, 4), padding=1, stride=2)
        self.attend = _Attend()

    def construct(self, small: Tensor, scale: Tensor, features: Tensor) -> Tensor:
        batch, _, height, width = small.shape
        lines = self.to_lines(small)  # (B, 3C, N + 2W), with a row above the map and one below
        halves = self.to_halves(features)  # (B, 8D, N + W), with half a block above the map and one below

        row = batch * height * width * width  # affinities of a row of patches
        rows = _divisor(height, min(max(self.ROWS, self.CACHED // row), self.LARGEST // row))
        strips = ()
        for top in range(0, height, rows):
            # One after the other, or all are in memory at once.
            now = ops.depend(lines, strips[-1]) if strips else lines
            queries = now[:, :, top * width : (top + rows + 2) * width]
            strips += (self._paste(self.attend(queries, lines, scale, halves), rows, width),)
        # Each strip reaches one row into its neighbours: they are blocks of one column that overlap.
        strips = ops.stack(strips, axis=-1).reshape(batch, features.shape[1], -1, len(strips))
        kernel, stride = (2 * rows + 2, 2 * width), (2 * rows, 2 * width)
        return fold(strips, (2 * height, 2 * width), kernel, (1, 0), stride)

    @staticmethod
    def _paste(halves: Tensor, rows: int, width: int) -> Tensor:
        """Halves that overlap from left to right, (B, 8D, (rows + 1)·W) -> (B, D, 2·rows + 2, 2W)"""
        halves = halves.reshape(halves.shape[0], -1, 8, (rows + 1) * width)
        return fold(halves, (2 * rows + 2, 2 * width), (2, 4), (0, 1), (2, 2))


@ops.constexpr
def _divisor(number: int, limit: int) -> int:
    """The largest divisor of a number that is not above a limit; 1 if the limit is smaller."""
    return max(i for i in range(1, number + 1) if number % i == 0 and i <= max(1, limit))


class _Attend(nn.Cell):
    """One strip of M patches attends to all N.

    queries: (B, K, M + 2W), keys: (B, K, N + 2W), lines; scale: (B, 1, N); values: (B, V, N + W), halves
    -> (B, V, M + W), halves

    The backward is written out because it then keeps fewer M×N matrices than automatic differentiation does.
    """

    FLOOR = 1e-8
    LINES, HALVES = 3, 2

    def __init__(self) -> None:
        super().__init__()
        # Primitives: MindSpore 2.10 cannot compile a bprop that calls functions with branches, such as ops.softmax.
        self.softmax = ops.Softmax(-1)  # keys last: over any other axis it is 20 times slower on CPU
        self.slice = ops.Slice()  # StridedSlice takes 40 times as long here
        self.zeros, self.below, self.beside, self.repeat = ops.Zeros(), ops.Concat(1), ops.Concat(2), ops.Tile()
        self.product = ops.BatchMatMul()
        self.product_tn = ops.BatchMatMul(transpose_a=True)
        self.product_nt = ops.BatchMatMul(transpose_b=True)

    def construct(self, queries: Tensor, keys: Tensor, scale: Tensor, values: Tensor) -> Tensor:
        width = keys.shape[2] - values.shape[2]
        _, affinity = self.affinity(queries, keys, scale, width)
        return self.product_nt(values, self.spread_diagonals(affinity, self.HALVES, width))

    def affinity(self, queries: Tensor, keys: Tensor, scale: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """-> the products of patches, their affinity: both (B, M, N)"""
        products = self.add_diagonals(self.product_tn(queries, keys), self.LINES, width)
        scores = products * self.repeat(scale, (1, products.shape[1], 1))
        return products, ops.maximum(self.softmax(scores), self.FLOOR)

    def bprop(
        self, queries: Tensor, keys: Tensor, scale: Tensor, values: Tensor, out: Tensor, dout: Tensor
    ) -> tuple[Tensor, ...]:
        width = keys.shape[2] - values.shape[2]
        products, affinity = self.affinity(queries, keys, scale, width)
        d_values = self.product(dout, self.spread_diagonals(affinity, self.HALVES, width))
        d_affinity = self.add_diagonals(self.product_tn(dout, values), self.HALVES, width)
        d_scores = softmax_grad(affinity, d_affinity)  # what the floor lifts (to 1e-8) has no share
        d_scale = sum_channels(d_scores * products)
        d_products = d_scores * self.repeat(scale, (1, products.shape[1], 1))
        d_lines = self.spread_diagonals(d_products, self.LINES, width)
        return self.product_nt(keys, d_lines), self.product(queries, d_lines), d_scale, d_values

    def add_diagonals(self, x: Tensor, count: int, width: int) -> Tensor:
        """The sum of x[i + k·W, j + k·W] for all k < count, at each i and j where all of them are."""
        batch, rows, columns = x.shape
        size = (batch, rows - (count - 1) * width, columns - (count - 1) * width)
        total = self.slice(x, (0, 0, 0), size)
        for k in range(1, count):
            total = total + self.slice(x, (0, k * width, k * width), size)
        return total

    def spread_diagonals(self, x: Tensor, count: int, width: int) -> Tensor:
        """The transpose of add_diagonals: each x[i, j] added to all places [i + k·W, j + k·W]."""
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
