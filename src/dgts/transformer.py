"""What the layers of both transformers share (DGTS, Sec. 3.1 and 3.3)."""

from mindspore import Tensor, nn, ops
from mindspore.common.initializer import XavierUniform

from ..layers.dropout import Dropout, drop


class LayerDropout(nn.Cell):
    """What the layers of a transformer drop, drawn as one: a graph with a draw for each would compile much longer.

    x: (B, N, D) -> for each layer what it multiplies with: the outcome of its attention, (B, N, D), the hidden
    features, (B, N, H), and the outcome of its feed-forward, (B, N, D). None where nothing is dropped.
    """

    def __init__(self, layers: int, dim: int, hidden_dim: int, p: float) -> None:
        super().__init__()
        self.layers, self.sizes, self.dropout = layers, (dim, hidden_dim, dim), Dropout(p)

    def construct(self, x: Tensor, key: int | Tensor) -> tuple:
        keep = self.dropout.keep((*x.shape[:2], self.layers * sum(self.sizes)), key)
        if keep is None:
            return ((None, None, None),) * self.layers
        parts = ops.split(keep, self.layers * self.sizes, axis=2)
        keeps = ()
        for i in range(self.layers):
            keeps += (parts[3 * i : 3 * i + 3],)
        return keeps


class FeedForward(nn.Cell):
    """Two dense layers around a ReLU, added and normalised.

    x: (B, N, D); keep: see LayerDropout, of the hidden features and of the outcome -> (B, N, D)
    """

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = dense(dim, hidden_dim), dense(hidden_dim, dim)
        self.relu = nn.ReLU()
        self.norm = nn.LayerNorm((dim,), epsilon=1e-5)

    def construct(self, x: Tensor, keep: tuple) -> Tensor:
        hidden = drop(self.relu(self.linear1(x)), keep[0])
        return self.norm(x + drop(self.linear2(hidden), keep[1]))


def dense(in_channels: int, out_channels: int) -> nn.Dense:
    return nn.Dense(in_channels, out_channels, weight_init=XavierUniform(), bias_init="zeros")


def product(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of the rows of two matrices, for each sample: (B, N, D), (B, M, D) -> (B, N, M)."""
    return ops.BatchMatMul(transpose_b=True)(a, b)
