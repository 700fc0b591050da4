"""The generator of DGTS (Sec. 3): it fills an image of a quarter of the size."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from .attention import CoarseFilledAttention, coarse_levels
from .decoder import StructureTextureDecoder
from .embedding import PATCH, from_patches, to_patches, token_positions
from .encoder import KEYS as ENCODER_KEYS
from .encoder import TextureEncoder
from .fill_order import FillOrder, to_places
from .low_resolution import STRIDE, working_image
from .width import scaled


class Generator(nn.Cell):
    """Texture encoder, coarse filled attention, structure-texture decoder.

    image: (B, 3, S, S) in [-1, 1]; mask: (B, 1, S, S), 1 = known; order: int32 (B, T), the numbers of the patches to
    fill one after the other, padded with -1, where `fill_order` is not to decide; key: int32, what dropout follows from
    -> the completed image (B, 3, S/4, S/4), holes not bounded to [-1, 1]; the patches filled in turn, int32 (B, N),
    -1 after the last

    fill_order: one of FILL_ORDERS. matching_lambda: share of structure in the decoder's attention. `sequential_steps`
    patches at most are filled in turn, the rest at once. A mask without a fully known patch starts from the patches
    it knows most of, and fills their holes too.
    """

    def __init__(
        self,
        width: float = 1.0,
        image_size: int = 256,
        matching_lambda: float = 0.1,
        fill_order: str = "known_pixels",
        sequential_steps: int = 64,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        side, dim = image_size // (STRIDE * PATCH), scaled(384, width)
        self.encoder = TextureEncoder(image_size, width, dropout)
        self.positions = Tensor(token_positions(side, dim)[None])
        self.coarse = CoarseFilledAttention(dim, dropout)
        self.decoder = StructureTextureDecoder(
            dim, self.encoder.dim, width, side**2, matching_lambda, sequential_steps, dropout
        )
        self.fill_order = None if fill_order == "confidence" else FillOrder(fill_order, side)
        self.numbers = Tensor([range(side**2)], ms.int32)

    def construct(self, image: Tensor, mask: Tensor, order: Tensor | None = None, key: int | Tensor = 0) -> tuple:
        tokens, seeds, memory, known, hole = self.encode(image * mask, mask, key)
        places = None
        if order is not None:
            places = to_places(order, self.numbers)
        elif self.fill_order is not None:
            places = self.fill_order(PATCH**2 - hole.sum(axis=2))
        hole = ops.cat((hole, hole, hole), axis=2)
        pixels, order = self.decoder(tokens, seeds, memory, known, hole, places, key + ENCODER_KEYS + 1)
        return from_patches(pixels, 3), order

    def encode(self, image: Tensor, mask: Tensor, key: int | Tensor = 0) -> tuple:
        """What the decoder starts from.

        image: 0 in the holes -> tokens (B, N, D), coarse filled; seeds (B, N), 1 for those known from the start;
        reference tokens (B, R, D'); known pixels (B, N, 3 8 8); hole (B, N, 8 8), 1 there
        """
        known, hole = to_patches(working_image(image)), to_patches(1.0 - working_image(mask))
        levels = coarse_levels(PATCH**2 - hole.sum(axis=2))
        tokens = self.coarse(self.decoder.embedding(known) + self.positions, levels, key + ENCODER_KEYS)
        return tokens, (levels == 0).astype(ms.float32), self.encoder(image, key), known, hole
