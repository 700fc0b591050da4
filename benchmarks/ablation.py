"""Train or score CTSDG without one of its parts: python benchmarks/ablation.py PART (train.py | eval.py) [--option ...]

PART is what is left out, as in the paper's ablation (Guo et al., ICCV 2021, Sec. 4.4):

  bigff   the gates that exchange features between the streams: these are only put side by side
  cfa     contextual feature aggregation: the features that it would refine go on as they are
  stream  the second stream: one encoder and one decoder see image, edges and gray together, and both projections
          look at its features
  none    nothing

All else, options included, is that of train.py and eval.py. Weights made with a part left out serve with it left out.
"""

import importlib
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mindspore import Tensor, nn, ops

sys.path.insert(0, str(Path(__file__).parents[1]))
from model_utils.entry import run, stop
from src.ctsdg.generator import Decoder, Encoder, Generator
from src.ctsdg.model import CTSDG, network
from src.layers.init import init_normal
from src.model import Model
from src.models import REGISTRY

ENTRY_POINTS = ("train.py", "eval.py")


class SideBySide(nn.Cell):
    """texture, structure: (B, C, H, W) -> (B, 2C, H, W)"""

    def construct(self, texture: Tensor, structure: Tensor) -> Tensor:
        return ops.cat((texture, structure), axis=1)


class WithoutBiGFF(Generator):
    def __init__(self, *settings: Any) -> None:
        super().__init__(*settings)
        self.bigff = SideBySide()


class WithoutCFA(Generator):
    def __init__(self, *settings: Any) -> None:
        super().__init__(*settings)
        self.cfa = nn.Identity()


class OneStream(Generator):
    """The texture stream alone, which also sees what the structure stream would."""

    CHANNELS = 5  # image, edges, gray

    def __init__(self, width: float = 1.0, align_corners: bool = False, seamless: bool = False) -> None:
        super().__init__(width, align_corners, seamless)
        del self.structure_encoder, self.structure_decoder
        self.bigff = SideBySide()
        self.texture_encoder = Encoder(self.CHANNELS, width)
        self.texture_decoder = Decoder(self.CHANNELS, width, align_corners)
        init_normal(self)

    def streams(self, image: Tensor, mask: Tensor, edge: Tensor, gray: Tensor) -> tuple:
        levels, masks = self.texture_encoder(ops.cat((image, edge, gray), axis=1), mask)
        features = self.texture_decoder(levels[-1], masks[-1], levels, masks)
        return features, features


PARTS = {"none": Generator, "bigff": WithoutBiGFF, "cfa": WithoutCFA, "stream": OneStream}


def model_of(part: str) -> Model:
    return replace(CTSDG, network=partial(network, generator=PARTS[part]))


# The registry names a Model by its module and its name there.
NONE, BIGFF, CFA, STREAM = map(model_of, PARTS)


def main(arguments: list[str]) -> None:
    if not arguments or {"-h", "--help"} & set(arguments[:2]):
        print(__doc__)
        return
    if arguments[0] not in PARTS:
        stop(f"error: there is no part {arguments[0]}; choose {', '.join(PARTS)}", 2)
    if arguments[1:2] not in [[name] for name in ENTRY_POINTS]:
        stop(f"error: name {' or '.join(ENTRY_POINTS)} behind {arguments[0]}", 2)
    REGISTRY[CTSDG.name] = f"{__name__}:{arguments[0].upper()}"
    entry_point = importlib.import_module(arguments[1].removesuffix(".py"))
    run(entry_point.main, arguments[2:])


if __name__ == "__main__":
    main(sys.argv[1:])
