"""What the layers of both transformers share (DGTS, Sec. 3.1 and 3.3)."""

from mindspore import Tensor, nn, ops
from mindspore.common.initializer import XavierUniform

from src.layers.dropout import Dropout


class FeedForward(nn.Cell):
    """Two dense layers around a ReLU, added and normalised: (B, N, D) -> (B, N, D). Dropout uses key and key + 1."""

    def __init__(self, dim: int, hidden_dim: int, dropout: float) -> None:
        super().__init__()
        self.linear1, self.linear2 = dense(dim, hidden_dim), dense(hidden_dim, dim)
        self.relu = nn.ReLU()
        self.norm = nn.LayerNorm((dim,), epsilon=1e-5)
        self.dropout = Dropout(dropout)

    def construct(self, x: Tensor, key: int | Tensor) -> Tensor:
        hidden = self.dropout(self.relu(self.linear1(x)), key)
        return self.norm(x + self.dropout(self.linear2(hidden), key + 1))


def dense(in_channels: int, out_channels: int) -> nn.Dense:
    return nn.Dense(in_channels, out_channels, weight_init=XavierUniform(), bias_init="zeros")


def product(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of the rows of two matrices, for each sample: (B, N, D), (B, M, D) -> (B, N, M)."""
    return ops.BatchMatMul(transpose_b=True)(a, b)
