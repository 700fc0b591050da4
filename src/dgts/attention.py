"""Coarse filled attention (DGTS, Sec. 3.2): a first guess of every token with a hole, the most known ones first."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from ..layers.dropout import Dropout
from .transformer import dense

MASKED = -1e9  # as a score: a softmax makes it zero


def coarse_levels(count: Tensor) -> Tensor:
    """How many different counts are larger than a token's own: 0 for those that attention starts from.

    count: (B, N) known pixels of each patch -> int32 (B, N)

    Level 0 holds the fully known patches; where a mask leaves none, the most known ones.
    """
    tokens = count.shape[1]
    own, other = count.expand_dims(2), count.expand_dims(1)
    earlier = ops.tril(ops.ones((tokens, tokens), ms.float32), -1)
    repeated = ((own == other).astype(ms.float32) * earlier).sum(axis=2)  # earlier tokens of the same count
    first = (repeated == 0).astype(ms.float32)
    return ((other > own).astype(ms.float32) * first.expand_dims(1)).sum(axis=2).astype(ms.int32)


class CoarseFilledAttention(nn.Cell):
    """Level by level, tokens become averages of the tokens of earlier levels, weighted by attention.

    tokens: (B, N, D); levels: int32 (B, N) -> (B, N, D)

    Rows of attention sum to 1 and keys are affine in tokens, so the key of an average is the average of the keys.
    Hence every token and key is a mixture of the original ones of level 0, and the levels only have to work out the
    mixture, N x N numbers, instead of tokens.
    """

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.query, self.key = dense(dim, dim), dense(dim, dim)
        self.norm = nn.LayerNorm((dim,), epsilon=1e-5)
        self.dropout = Dropout(dropout)
        self.scale = dim**-0.5

    def construct(self, tokens: Tensor, levels: Tensor, key: int | Tensor = 0) -> Tensor:
        scores = self.scale * ops.bmm(self.query(tokens), self.key(tokens).swapaxes(1, 2))
        size, last = tokens.shape[1], levels.max()
        mixture = ops.eye(size, size, ms.float32) * (levels == 0).astype(ms.float32).expand_dims(2)
        if self.training:  # unrolled: MindSpore 2.10 now and then hangs in the gradient of a loop
            for level in range(1, size):
                mixture = self._mix(mixture, scores, levels, level)
        else:
            level = Tensor(1, ms.int32)
            while level <= last:
                mixture = self._mix(mixture, scores, levels, level)
                level = level + 1
        tokens = ops.bmm(mixture, tokens)
        # The published residual connection adds the tokens to themselves.
        return self.norm(tokens + self.dropout(tokens, key))

    def _mix(self, mixture: Tensor, scores: Tensor, levels: Tensor, level: int | Tensor) -> Tensor:
        """The mixture (B, N, N) with the rows of one more level."""
        seen = ops.bmm(scores, mixture.swapaxes(1, 2))
        attention = ops.softmax(ops.where(levels.expand_dims(1) < level, seen, MASKED))
        return mixture + (levels == level).astype(ms.float32).expand_dims(2) * ops.bmm(attention, mixture)
