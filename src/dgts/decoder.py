"""The structure-texture decoder (DGTS, Sec. 3.3): it fills patch by patch.

The published code keeps lists of known and filled tokens that grow, which allows one mask per batch. Here a token has
its place from the start, shapes are fixed, and every picture of a batch has a mask and an order of its own.
"""

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.dgts.attention import MASKED
from src.dgts.embedding import PATCH, PatchEmbedding
from src.dgts.fill_order import to_order
from src.dgts.transformer import FeedForward, LayerDropout, dense, product
from src.dgts.width import scaled
from src.layers.dropout import drop

LAYERS = 4


class DecoderLayer(nn.Cell):
    """Attention of tokens to the reference texture, and feed-forward, each added and then normalised.

    memory: (B, R, D'), the reference tokens. Keys are affine in them, so they are not computed: a token is compared
    with the reference tokens themselves, through query and key weights as one.
    """

    def __init__(self, dim: int, memory_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.known_features, self.unknown_features = dense(dim, dim), dense(dim, dim)
        self.query, self.key, self.value = dense(dim, dim), dense(memory_dim, dim), dense(memory_dim, dim)
        self.norm = nn.LayerNorm((dim,), epsilon=1e-5)
        self.feed_forward = FeedForward(dim, hidden_dim)
        self.scale = dim**-0.5

    def prepare(self, memory: Tensor) -> tuple:
        """What all steps share.

        -> reader: weight (D', D) and bias (D') from a token to what its scores are the products of with reference
        tokens; matcher: weight (D, D) and bias (D) from a token to be filled to what is compared with features of known
        ones; values (B, R, D)
        """
        # The bias of the keys adds the same to all scores of a token, which a softmax ignores.
        weight = self.scale * ops.matmul(self.key.weight.T, self.query.weight)
        reader = weight, self.scale * ops.matmul(self.query.bias, self.key.weight)
        matcher = self.scale * self.unknown_features.weight, self.scale * self.unknown_features.bias
        return reader, matcher, self.value(memory)

    def known(self, x: Tensor, memory: Tensor, prepared: tuple, keep: tuple) -> tuple:
        """Known tokens: (B, N, D) -> the layer's output, their features (B, N, D) and their readings (B, N, D')."""
        reader, _, values = prepared
        readings = ops.dense(x, *reader)
        attention = ops.softmax(product(readings, memory))
        return self._attend(x, attention, values, keep), self.known_features(x), readings

    def construct(
        self,
        x: Tensor,
        index: Tensor,
        features: Tensor,
        readings: Tensor,
        memory: Tensor,
        prepared: tuple,
        mixing: Tensor,
        keep: tuple,
    ) -> tuple:
        """One token that is known by now, and n that are to be filled.

        x: (B, 1 + n, D), the known token first; index: int (B, 2), where its features and readings belong;
        features: (B, N, D) and readings: (B, N, D') of the tokens known so far, 0 elsewhere; mixing: of mixing_matrix
        -> the layer's output, the attention (B, 1 + n, R), features and readings with the token
        """
        reader, matcher, values = prepared
        own = ops.dense(x, *reader)
        features = put(self.known_features(x[:, :1]), index, features)
        readings = put(own[:, :1], index, readings)
        # Structure: scores of known tokens, mixed by how well their features match.
        matched = ops.bmm(product(ops.dense(x, *matcher), features), readings)
        attention = ops.softmax(product(ops.cat((own, matched), axis=1), memory))
        attention = ops.bmm(mixing, attention)
        return self._attend(x, attention, values, keep), attention, features, readings

    def _attend(self, x: Tensor, attention: Tensor, values: Tensor, keep: tuple) -> Tensor:
        x = self.norm(x + drop(ops.bmm(attention, values), keep[0]))
        return self.feed_forward(x, keep[1:])


def mixing_matrix(batch: int, count: int, matching_lambda: float) -> Tensor:
    """How attention by own scores and by those of matches mix, as one product: (B, 1 + n, 2 + 2 n).

    The first token is known and goes by its own scores.
    """
    share = matching_lambda * ops.arange(0, 1 + count).clip(0, 1).astype(ms.float32)
    own = ops.eye(1 + count, 1 + count, ms.float32)
    return ops.tile(ops.cat((own * (1.0 - share), own * share), axis=1).expand_dims(0), (batch, 1, 1))


def put(row: Tensor, index: Tensor, rows: Tensor) -> Tensor:
    """Replace one row of each sample: row (B, 1, D), index int (B, 2) of sample and row, rows (B, N, D)."""
    return ops.TensorScatterUpdate()(rows, index, row.squeeze(1))


class PixelHead(nn.Cell):
    """From a token to its pixels: a dense layer and a 1x1 convolution, with nothing between, hence one matrix.

    -> weight (3 8 8, D) and bias (3 8 8)
    """

    def __init__(self, dim: int, channels: int) -> None:
        super().__init__()
        self.dense = dense(dim, channels * PATCH**2)
        self.conv = nn.Conv2d(channels, 3, 1, has_bias=True, weight_init="xavier_uniform", bias_init="zeros")

    def construct(self) -> tuple:
        channels = self.conv.weight.shape[1]
        conv = self.conv.weight.reshape(3, channels)
        weight = ops.matmul(conv, self.dense.weight.reshape(channels, -1)).reshape(3 * PATCH**2, -1)
        bias = ops.matmul(conv, self.dense.bias.reshape(channels, -1)) + self.conv.bias.expand_dims(1)
        return weight, bias.reshape(-1)


class StructureTextureDecoder(nn.Cell):
    """Tokens, reference tokens and the known pixels -> all pixels.

    tokens: (B, N, D), coarse filled; seeds: (B, N), 1 for the tokens known from the start; memory: (B, R, D');
    known: (B, N, 3 8 8), pixels, 0 in holes; hole: (B, N, 3 8 8), 1 in holes; places: (B, N), see FillOrder, or None
    to fill next the patch whose attention in the last layer has the highest peak, to 16 bits
    -> pixels (B, N, 3 8 8); the patches filled in turn, int32 (B, N), -1 after the last

    `sequential_steps` patches at most are filled in turn, the rest at once.
    """

    def __init__(
        self, dim: int, memory_dim: int, width: float, patches: int, matching_lambda: float, steps: int, dropout: float
    ) -> None:
        super().__init__()
        self.embedding = PatchEmbedding(dim)
        hidden_dim = scaled(1536, width)
        self.layers = nn.CellList([DecoderLayer(dim, memory_dim, hidden_dim) for _ in range(LAYERS)])
        self.dropout = LayerDropout(LAYERS, dim, hidden_dim, dropout)
        self.pixel_head = PixelHead(dim, scaled(24, width))
        self.matching_lambda, self.sequential_steps = matching_lambda, steps
        self.numbers = Tensor([range(patches)], ms.int32)
        # By confidence, each step decodes all patches left: (rows that hold them, until no more than this are left).
        quarter = patches // 4
        self.stages = tuple((k * quarter, (k - 1) * quarter) for k in (4, 3, 2, 1))

    def construct(
        self,
        tokens: Tensor,
        seeds: Tensor,
        memory: Tensor,
        known: Tensor,
        hole: Tensor,
        places: Tensor | None,
        key: int | Tensor = 0,
    ) -> tuple:
        prepared, features, readings = self.start(tokens, seeds, memory, key)
        left = (hole.max(axis=2) > 0).astype(ms.float32)  # (B, N), 1 for patches that still are to be filled
        steps = left.sum(axis=1, keepdims=True).clip(0, self.sequential_steps)
        fixed = places is not None  # the order is known
        places = places if fixed else ops.ones_like(left) * left.shape[1]
        # The token that becomes known in a step is that of the patch filled last. In the first step nothing does: a
        # token known from the start takes its part, and finds its own row.
        index = self.index_of(seeds.expand_dims(1))
        token = ops.gather_nd(tokens, index).expand_dims(1)
        given = tokens, memory, known, hole, prepared, self.pixel_head(), key
        state = known, left, places, index, token, features, readings
        if self.training:  # unrolled: MindSpore 2.10 now and then hangs in the gradient of a loop
            mixing = mixing_matrix(left.shape[0], 1 if fixed else left.shape[1], self.matching_lambda)
            for step in range(min(self.sequential_steps, left.shape[1])):
                slots = self._next(places, left, step) if fixed else self._slots(state[1], left.shape[1])
                state = self._fill(step, slots, mixing, fixed, given, state)
        else:
            step, last = Tensor(0, ms.int32), steps.max().astype(ms.int32)
            for capacity, until in ((1, 0),) if fixed else self.stages:
                slots = self._slots(left, capacity)
                mixing = mixing_matrix(left.shape[0], capacity, self.matching_lambda)
                while step < last and left.sum(axis=1).max() > until:
                    slots = self._next(places, left, step) if fixed else slots
                    state = self._fill(step, slots, mixing, fixed, given, state)
                    left = state[1]
                    step = step + 1
        pixels, left, places, index, token, features, readings = state
        if self.sequential_steps < left.shape[1]:
            x, mixing = ops.cat((token, tokens), axis=1), mixing_matrix(*left.shape, self.matching_lambda)
            key = key + 1 + self.sequential_steps
            x, _, _, _ = self.decode(x, index, features, readings, memory, prepared, mixing, key)
            pixels = pixels + left.expand_dims(2) * hole * ops.dense(x, *self.pixel_head())
        return pixels, to_order(places, steps, self.numbers)

    def start(self, tokens: Tensor, seeds: Tensor, memory: Tensor, key: int | Tensor = 0) -> tuple:
        """By layer: see DecoderLayer.prepare; features and readings of tokens known from the start, 0 for others."""
        prepared, features, readings = (), (), ()
        x, seeds, keep = tokens, seeds.expand_dims(2), self.dropout(tokens, key)
        for i in range(LAYERS):
            prepared += (self.layers[i].prepare(memory),)
            x, own_features, own_readings = self.layers[i].known(x, memory, prepared[i], keep[i])
            features += (seeds * own_features,)
            readings += (seeds * own_readings,)
        return prepared, features, readings

    def decode(
        self,
        x: Tensor,
        index: Tensor,
        features: tuple,
        readings: tuple,
        memory: Tensor,
        prepared: tuple,
        mixing: Tensor,
        key: int | Tensor = 0,
    ) -> tuple:
        """One known token and n to be filled, (B, 1 + n, D), through all layers; see DecoderLayer.

        -> these n (B, n, D), their attention in the last layer (B, n, R), features and readings with the known token
        """
        new_features, new_readings, attention, keep = (), (), None, self.dropout(x, key)
        for i in range(LAYERS):
            x, attention, own_features, own_readings = self.layers[i](
                x, index, features[i], readings[i], memory, prepared[i], mixing, keep[i]
            )
            new_features += (own_features,)
            new_readings += (own_readings,)
        return x[:, 1:], attention[:, 1:], new_features, new_readings

    def _fill(
        self, step: int | Tensor, slots: Tensor, mixing: Tensor, fixed: bool, given: tuple, state: tuple
    ) -> tuple:
        """Fill one patch of each picture that has some left: the new state.

        slots: (B, n, N), one 1 in each row: the patches to choose from; just the next one in a fixed order
        """
        tokens, memory, known, hole, prepared, pixel_head, key = given
        pixels, left, places, index, token, features, readings = state
        # The token filled last enters the layers together with those to choose from.
        x, key = ops.cat((token, ops.bmm(slots, tokens)), axis=1), key + 1 + step
        x, attention, features, readings = self.decode(x, index, features, readings, memory, prepared, mixing, key)
        pick = slots  # (B, 1, N), all 0 in a picture that has no hole left
        if not fixed:
            chosen = self._most_confident(attention, slots, left)
            x, pick = ops.bmm(chosen, x), ops.bmm(chosen, slots)
            places = ops.where(pick.squeeze(1) > 0, ops.ones_like(places) * step, places)
        filling = ops.bmm(pick, hole) * ops.dense(x, *pixel_head)
        token = self.embedding(ops.bmm(pick, known) + filling)
        pixels = pixels + ops.bmm(pick.swapaxes(1, 2), filling)
        return pixels, left - pick.squeeze(1), places, self.index_of(pick), token, features, readings

    def index_of(self, pick: Tensor) -> Tensor:
        """Of sample and patch of the first 1 in each row, (B, 1, N) -> int32 (B, 2); patch 0 where there is none.

        In a picture that has no hole left, what happens to the states of its patches no longer counts.
        """
        samples = ops.arange(0, pick.shape[0], dtype=ms.int32).expand_dims(1)
        return ops.cat((samples, pick.argmax(axis=2).astype(ms.int32)), axis=1)

    def _next(self, places: Tensor, left: Tensor, step: int | Tensor) -> Tensor:
        """The patch whose turn it is: (B, N) -> (B, 1, N), all 0 in a picture that has no hole left."""
        return ((places == step).astype(ms.float32) * left).expand_dims(1)

    def _slots(self, left: Tensor, capacity: int) -> Tensor:
        """Rows that the first patches left are gathered into: (B, N) -> (B, capacity, N), one 1 in a row or none."""
        rows = self.numbers[:, :capacity].expand_dims(2) + 1
        return (ops.cumsum(left, 1).expand_dims(1) == rows).astype(ms.float32) * left.expand_dims(1)

    def _most_confident(self, attention: Tensor, slots: Tensor, left: Tensor) -> Tensor:
        """The row of the highest attention among patches left: (B, capacity, R) -> (B, 1, capacity), a 1 there.

        Peaks that differ by rounding alone are ties, which the lowest number wins, or the order would depend on the
        number of threads.
        """
        peak = ops.round(attention.max(axis=2) * 2.0**16)
        taken = 1.0 - ops.bmm(slots, left.expand_dims(2)).squeeze(2)
        row = (peak + MASKED * taken).argmax(axis=1).expand_dims(1)
        open_ = (left.sum(axis=1, keepdims=True) > 0).astype(ms.float32)
        return ((row == self.numbers[:, : slots.shape[1]]).astype(ms.float32) * open_).expand_dims(1)
