"""The structure-texture decoder (DGTS, Sec. 3.3): it fills patch by patch.

The published code keeps lists of known and filled tokens that grow, which allows one mask per batch. Here a token has
its place from the start, shapes are fixed, and every image of a batch has a mask and an order of its own.
"""

import mindspore as ms
from mindspore import Tensor, nn, ops

from ..layers.dropout import drop
from .attention import MASKED
from .embedding import PATCH, PatchEmbedding
from .fill_order import to_order
from .transformer import FeedForward, LayerDropout, dense, product
from .width import scaled

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

    def prepare(self, memory: Tensor) -> dict:
        """What all steps share, of the reference tokens.

        "reader": weight (D', D) and bias (D',) from a token to its reading, whose products with the reference tokens
        are the token's scores; "matcher": weight (D, D) and bias (D,) from a token to be filled to what is compared
        with the features of known ones; "memory": (B, R, D'); "values": (B, R, D)
        """
        # The bias of the keys adds the same to all scores of a token, which a softmax ignores.
        weight = self.scale * ops.matmul(self.key.weight.T, self.query.weight)
        return {
            "reader": (weight, self.scale * ops.matmul(self.query.bias, self.key.weight)),
            "matcher": (self.scale * self.unknown_features.weight, self.scale * self.unknown_features.bias),
            "memory": memory,
            "values": self.value(memory),
        }

    def begin(self, x: Tensor, seeds: Tensor, reference: dict, keep: tuple) -> tuple:
        """Tokens known from the start, (B, N, D), `seeds` (B, N, 1) 1 there; others do not count.

        -> the layer's output, and what it knows: "features" (B, N, D) and "readings" (B, N, D'), 0 for others
        """
        readings = ops.dense(x, *reference["reader"])
        known = {"features": seeds * self.known_features(x), "readings": seeds * readings}
        attention = ops.softmax(product(readings, reference["memory"]))
        return self._attend(x, attention, reference["values"], keep), known

    def construct(
        self, x: Tensor, index: Tensor, known: dict, reference: dict, mixing: Tensor, keep: tuple
    ) -> tuple[Tensor, Tensor, dict]:
        """One token that has become known, and n that are to be filled.

        x: (B, 1 + n, D), the known token first; index: int (B, 2), its place among what is known; known: of `begin`;
        reference: of `prepare`; mixing: of mixing_matrix
        -> the layer's output, the attention (B, 1 + n, R), and what is known with the token
        """
        own = ops.dense(x, *reference["reader"])
        features = put(self.known_features(x[:, :1]), index, known["features"])
        readings = put(own[:, :1], index, known["readings"])
        # Structure: scores of known tokens, mixed by how well their features match.
        matched = ops.bmm(product(ops.dense(x, *reference["matcher"]), features), readings)
        attention = ops.softmax(product(ops.cat((own, matched), axis=1), reference["memory"]))
        attention = ops.bmm(mixing, attention)
        x = self._attend(x, attention, reference["values"], keep)
        return x, attention, {"features": features, "readings": readings}

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

    tokens: (B, N, D), coarse filled
    seeds: (B, N), 1 for tokens known from the start
    memory: (B, R, D'), the reference tokens
    known: (B, N, 3 8 8), pixels, 0 in holes
    hole: (B, N, 3 8 8), 1 in holes
    places: (B, N), the place of each patch in the order, see FillOrder. None: next comes the patch whose attention in
    the last layer has the highest peak, to 16 bits.
    -> pixels (B, N, 3 8 8); the patches filled in turn, int32 (B, N), -1 after the last

    `sequential_steps` patches at most are filled in turn, the rest at once. `given` is what no step changes, `state`
    what each step makes anew. Both are dicts, since MindSpore's graphs know no named tuples.
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
        references, layers = self.begin(tokens, seeds, memory, key)
        left = (hole.max(axis=2) > 0).astype(ms.float32)
        steps = left.sum(axis=1, keepdims=True).clip(0, self.sequential_steps)
        # The token that becomes known in a step is that of the patch filled last. In the first step nothing does: a
        # token known from the start takes its part, and finds its own row.
        index = self.index_of(seeds.expand_dims(1))
        state = {
            "pixels": known,
            "left": left,  # (B, N), 1 for patches that still are to be filled
            "places": ops.ones_like(left) * left.shape[1] if places is None else places,
            "token": ops.gather_nd(tokens, index).expand_dims(1),  # (B, 1, D), of the patch filled last
            "index": index,  # int (B, 2), its sample and its number
            "layers": layers,  # what each knows, see DecoderLayer
        }
        given = {
            "tokens": tokens,
            "known": known,
            "hole": hole,
            "references": references,
            "pixel_head": self.pixel_head(),
            "key": key,
        }
        if self.training:
            state = self._unrolled(given, state, places is not None)
        else:
            state = self._loops(given, state, places is not None, steps.max().astype(ms.int32))
        pixels = state["pixels"]
        if self.sequential_steps < left.shape[1]:
            pixels = pixels + self._rest(given, state)
        return pixels, to_order(state["places"], steps, self.numbers)

    def begin(self, tokens: Tensor, seeds: Tensor, memory: Tensor, key: int | Tensor = 0) -> tuple:
        """By layer: what DecoderLayer.prepare makes of the reference tokens, and what it knows from the start."""
        references, layers = (), ()
        x, keep = tokens, self.dropout(tokens, key)
        for i in range(LAYERS):
            references += (self.layers[i].prepare(memory),)
            x, known = self.layers[i].begin(x, seeds.expand_dims(2), references[i], keep[i])
            layers += (known,)
        return references, layers

    def decode(
        self, x: Tensor, index: Tensor, layers: tuple, references: tuple, mixing: Tensor, key: int | Tensor = 0
    ) -> tuple:
        """One known token and n to be filled, (B, 1 + n, D), through all layers; see DecoderLayer.

        -> these n (B, n, D), their attention in the last layer (B, n, R), what each layer knows with the known token
        """
        new_layers, attention, keep = (), x, self.dropout(x, key)
        for i in range(LAYERS):
            x, attention, known = self.layers[i](x, index, layers[i], references[i], mixing, keep[i])
            new_layers += (known,)
        return x[:, 1:], attention[:, 1:], new_layers

    def _unrolled(self, given: dict, state: dict, fixed: bool) -> dict:
        """All steps, for training: MindSpore 2.10 now and then hangs in the gradient of a loop."""
        batch, patches = state["left"].shape
        mixing = mixing_matrix(batch, 1 if fixed else patches, self.matching_lambda)
        for step in range(min(self.sequential_steps, patches)):
            slots = self._next(state, step) if fixed else self._slots(state, patches)
            state = self._fill(step, slots, mixing, fixed, given, state)
        return state

    def _loops(self, given: dict, state: dict, fixed: bool, last: Tensor) -> dict:
        """As many steps as there are patches to fill, `last` at most."""
        step = Tensor(0, ms.int32)
        for capacity, until in ((1, 0),) if fixed else self.stages:
            slots = self._slots(state, capacity)
            mixing = mixing_matrix(state["left"].shape[0], capacity, self.matching_lambda)
            while step < last and state["left"].sum(axis=1).max() > until:
                slots = self._next(state, step) if fixed else slots
                state = self._fill(step, slots, mixing, fixed, given, state)
                step = step + 1
        return state

    def _fill(self, step: int | Tensor, slots: Tensor, mixing: Tensor, fixed: bool, given: dict, state: dict) -> dict:
        """Fill one patch of each image that has some left: the new state.

        slots: (B, n, N), one 1 in each row: the patches to choose from; just the next one in a fixed order
        """
        left, places = state["left"], state["places"]
        # The token filled last enters the layers together with those to choose from.
        x = ops.cat((state["token"], ops.bmm(slots, given["tokens"])), axis=1)
        key = given["key"] + 1 + step
        x, attention, layers = self.decode(x, state["index"], state["layers"], given["references"], mixing, key)
        pick = slots  # (B, 1, N), all 0 in an image that has no hole left
        if not fixed:
            chosen = self._most_confident(attention, slots, left)
            x, pick = ops.bmm(chosen, x), ops.bmm(chosen, slots)
            places = ops.where(pick.squeeze(1) > 0, ops.ones_like(places) * step, places)
        filling = ops.bmm(pick, given["hole"]) * ops.dense(x, *given["pixel_head"])
        return {
            "pixels": state["pixels"] + ops.bmm(pick.swapaxes(1, 2), filling),
            "left": left - pick.squeeze(1),
            "places": places,
            "token": self.embedding(ops.bmm(pick, given["known"]) + filling),
            "index": self.index_of(pick),
            "layers": layers,
        }

    def _rest(self, given: dict, state: dict) -> Tensor:
        """The pixels of all patches left, at once: (B, N, 3 8 8), 0 elsewhere."""
        left = state["left"]
        batch, patches = left.shape
        x = ops.cat((state["token"], given["tokens"]), axis=1)
        mixing, key = mixing_matrix(batch, patches, self.matching_lambda), given["key"] + 1 + self.sequential_steps
        x, _, _ = self.decode(x, state["index"], state["layers"], given["references"], mixing, key)
        return left.expand_dims(2) * given["hole"] * ops.dense(x, *given["pixel_head"])

    def index_of(self, pick: Tensor) -> Tensor:
        """Of sample and patch of the first 1 in each row, (B, 1, N) -> int32 (B, 2); patch 0 where there is none.

        In an image that has no hole left, what happens to the states of its patches no longer counts.
        """
        samples = ops.arange(0, pick.shape[0], dtype=ms.int32).expand_dims(1)
        return ops.cat((samples, pick.argmax(axis=2).astype(ms.int32)), axis=1)

    def _next(self, state: dict, step: int | Tensor) -> Tensor:
        """The patch whose turn it is: (B, 1, N), all 0 in an image that has no hole left."""
        return ((state["places"] == step).astype(ms.float32) * state["left"]).expand_dims(1)

    def _slots(self, state: dict, capacity: int) -> Tensor:
        """Rows that the first patches left are gathered into: (B, capacity, N), one 1 in a row or none."""
        left = state["left"]
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
