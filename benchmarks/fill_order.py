"""What decides the order in which DGTS fills patches: python benchmarks/fill_order.py [--image IMAGE --mask IMAGE]

Prints, for the first step of the decoder on one image, the quantity that the published code chooses by, in float32
and as different ways to sum it have it, beside the quantity that --fill_order confidence chooses by. Then the orders of
this project, and how far the completed small images are from each other. --output draws the fillings as a film strip.

--checkpoint_path takes a generator; without one the weights are random. Default image: scikit-image's cat, square
hole.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from model_utils.config import load_config
from model_utils.device import prepare

FRAMES = 8  # images of a film strip
ENLARGE = 3
SIDE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint_path", default="")
    parser.add_argument("--image", default="")
    parser.add_argument("--mask", default="")
    parser.add_argument("--output", default="", help="file of the film strip, .png")
    args = parser.parse_args()
    prepare(load_config([]))

    import numpy as np
    from mindspore import Tensor

    from src.dgts.fill_order import FILL_ORDERS

    image, mask = read_input(args.image, args.mask)
    image, mask = Tensor(image[None]), Tensor(mask[None])
    attention, patches = first_attention(make_generator(args.checkpoint_path, "known_pixels"), image, mask)
    print(f"{len(patches)} patches of 64 have a hole. Choosing the first of them:")
    print("| chosen by | smallest | largest | first patch |\n|---|---:|---:|---:|")
    for name, values in candidates(attention).items():
        print(f"| {name} | {values.min():.9f} | {values.max():.9f} | {patches[int(np.argmax(values))]} |")

    completed, orders = {}, {}
    for fill_order in FILL_ORDERS:
        photo, order = make_generator(args.checkpoint_path, fill_order)(image, mask)
        completed[fill_order] = photo.asnumpy()[0]
        orders[fill_order] = [int(patch) for patch in order.asnumpy()[0] if patch >= 0]
    print("\n| order | first ten patches | mean difference to known_pixels, of 255 |\n|---|---|---:|")
    hole = np.broadcast_to(mask.asnumpy()[0, :, ::4, ::4] == 0, completed["known_pixels"].shape)
    for name, photo in completed.items():
        difference = np.abs(photo - completed["known_pixels"])[hole].mean() * 127.5
        print(f"| {name} | {' '.join(map(str, orders[name][:10]))} | {difference:.4f} |")
    if args.output:
        film_strip(completed, orders, hole[0]).save(args.output)


def read_input(image: str, mask: str):
    """The photo in [-1, 1] and the mask, 1 = known, as the network wants them."""
    import numpy as np
    import skimage.data
    from PIL import Image

    from src.data.images import load_image, normalise, prepare_image
    from src.data.masks import load_mask

    if image:
        photo = load_image(Path(image), SIDE)
    else:
        photo = prepare_image(Image.fromarray(skimage.data.chelsea()[:, 75:375]), SIDE)
    if mask:
        return normalise(photo), load_mask(Path(mask), SIDE, "white_hole")
    square = np.ones((1, SIDE, SIDE), np.float32)
    square[:, 60:190, 70:200] = 0
    return normalise(photo), square


def make_generator(checkpoint_path: str, fill_order: str):
    import mindspore as ms

    from src.checkpoint import read_generator
    from src.dgts.model import DGTS

    if checkpoint_path:
        return read_generator(checkpoint_path, {"model": "dgts", "fill_order": fill_order}).cell(DGTS.network)
    ms.set_seed(0)
    return DGTS.network(DGTS.info("generator", fill_order=fill_order)).set_train(False)


def first_attention(generator, image, mask):
    """What the last layer gives to each patch with a hole, before any is filled: (n, R), and their numbers."""
    import numpy as np
    from mindspore import nn, ops

    from src.dgts.decoder import mixing_matrix

    class FirstStep(nn.Cell):
        def __init__(self) -> None:
            super().__init__()
            self.generator = generator

        def construct(self, image, mask):
            tokens, seeds, memory, _, _ = self.generator.encode(image * mask, mask)
            decoder = self.generator.decoder
            references, layers = decoder.begin(tokens, seeds, memory)
            # The decoder takes one known token along; here one that was known from the start.
            index = decoder.index_of(seeds.expand_dims(1))
            token = ops.gather_nd(tokens, index).expand_dims(1)
            mixing = mixing_matrix(1, tokens.shape[1], decoder.matching_lambda)
            x = ops.cat((token, tokens), axis=1)
            _, attention, _ = decoder.decode(x, index, layers, references, mixing)
            return attention

    holes = 1 - mask.asnumpy()[0, 0, ::4, ::4]
    patches = np.flatnonzero(holes.reshape(8, 8, 8, 8).sum(axis=(1, 3)))
    return FirstStep()(image, mask).asnumpy()[0][patches], patches


def candidates(attention) -> dict:
    """One number for each patch, by what it is: the patch with the largest goes first."""
    import numpy as np

    one_by_one = np.zeros(len(attention), np.float32)
    for column in attention.T:
        one_by_one += column
    return {
        "sum of the attention row, pairwise, float32": attention.sum(axis=1, dtype=np.float32),
        "the same, one by one": one_by_one,
        "the same, from the other end": attention[:, ::-1].sum(axis=1, dtype=np.float32),
        "the same, in float64": attention.sum(axis=1, dtype=np.float64),
        "peak of the attention row (confidence)": attention.max(axis=1),
    }


def film_strip(completed: dict, orders: dict, hole):
    """One row for each order: the image while it is filled."""
    import numpy as np
    from PIL import Image

    from src.data.images import to_uint8
    from src.drawing.sheet import Row, draw_sheet

    rows = []
    for name, image in completed.items():
        order, frames = orders[name], []
        for i in range(FRAMES):
            done = order[: round(i * len(order) / (FRAMES - 1))]
            filled = np.isin(np.arange(64), done).reshape(8, 8).repeat(8, axis=0).repeat(8, axis=1)
            frame = np.where(hole & ~filled, 1.0, np.clip(image, -1, 1))
            side = ENLARGE * frame.shape[1]
            frames.append(np.asarray(Image.fromarray(to_uint8(frame)).resize((side, side), Image.Resampling.NEAREST)))
        rows.append(Row(frames, caption=name))
    titles = [f"{round(100 * i / (FRAMES - 1))} %" for i in range(FRAMES)]
    return draw_sheet(titles, rows)


if __name__ == "__main__":
    main()
