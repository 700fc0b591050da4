"""The texture transformer encoder (DGTS, Sec. 3.1): what is known of the image as reference tokens."""

from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import XavierUniform, initializer

from ..layers.conv import Conv2d
from ..layers.dropout import Dropout, drop
from .embedding import feature_positions
from .resnet import ResNet50
from .transformer import FeedForward, LayerDropout, dense
from .width import scaled

LAYERS = 4
KEYS = LAYERS + 1  # that dropout uses: one for the attention of each layer, one for all else
HEADS = 8


class SelfAttention(nn.Cell):
    """Attention of several heads; positions count for queries and keys alone.

    x: (B, N, D); positions: (1, N, D) -> (B, N, D)
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.in_weight = Parameter(initializer(XavierUniform(), (3 * dim, dim)))
        self.in_bias = Parameter(initializer("zeros", (3 * dim,)))
        self.out = dense(dim, dim)
        self.dropout = Dropout(dropout)

    def construct(self, x: Tensor, positions: Tensor, key: int | Tensor) -> Tensor:
        batch, count, dim = x.shape
        inner = dim // self.heads
        both = 2 * dim
        query_key = ops.matmul(x + positions, self.in_weight[:both].T) + self.in_bias[:both]
        value = ops.matmul(x, self.in_weight[both:].T) + self.in_bias[both:]
        query_key = query_key.reshape(batch, count, 2, self.heads, inner).transpose(2, 0, 3, 1, 4)
        query, keys = query_key[0], query_key[1]  # (B, heads, N, D / heads)
        value = value.reshape(batch, count, self.heads, inner).transpose(0, 2, 1, 3)
        attention = ops.softmax(ops.matmul(inner**-0.5 * query, keys.swapaxes(2, 3)))
        attention = self.dropout(attention, key)
        mixed = ops.matmul(attention, value).transpose(0, 2, 1, 3).reshape(batch, count, dim)
        return self.out(mixed)


class EncoderLayer(nn.Cell):
    """Self-attention and feed-forward, each added and then normalised.

    x: (B, N, D); positions: (1, N, D); keep: see LayerDropout -> (B, N, D)
    """

    def __init__(self, dim: int, heads: int, hidden_dim: int, dropout: float) -> None:
        super().__init__()
        self.attention = SelfAttention(dim, heads, dropout)
        self.norm = nn.LayerNorm((dim,), epsilon=1e-5)
        self.feed_forward = FeedForward(dim, hidden_dim)

    def construct(self, x: Tensor, positions: Tensor, key: int | Tensor, keep: tuple) -> Tensor:
        x = self.norm(x + drop(self.attention(x, positions, key), keep[0]))
        return self.feed_forward(x, keep[1:])


class TextureEncoder(nn.Cell):
    """Reference tokens of the known texture: backbone and self-attention.

    image: (B, 3, S, S), zero in the holes -> (B, (S/16)², D')
    """

    def __init__(self, image_size: int, width: float, dropout: float) -> None:
        super().__init__()
        self.dim = scaled(256, width)
        self.backbone = ResNet50(width)
        self.projection = Conv2d(self.backbone.out_channels, self.dim, 1)
        self.projection.weight.set_data(initializer(XavierUniform(), self.projection.weight.shape))
        self.projection.bias.set_data(initializer("zeros", self.projection.bias.shape))
        self.positions = Tensor(feature_positions(image_size // 16, self.dim)[None])
        hidden_dim = scaled(1024, width)
        self.layers = nn.CellList([EncoderLayer(self.dim, HEADS, hidden_dim, dropout) for _ in range(LAYERS)])
        self.dropout = LayerDropout(LAYERS, self.dim, hidden_dim, dropout)

    def construct(self, image: Tensor, key: int | Tensor = 0) -> Tensor:
        features = self.projection(self.backbone(image))
        x = features.reshape(features.shape[0], self.dim, -1).swapaxes(1, 2)
        keep = self.dropout(x, key + LAYERS)
        for i in range(LAYERS):
            x = self.layers[i](x, self.positions, key + i, keep[i])
        return x
