"""The upsampler of DGTS and its discriminator, from and to the official PyTorch code."""

from pathlib import Path

import numpy as np

from ...checkpoint import read_network, save_network
from ...convert.files import as_arrays, read_torch, write_torch
from ...convert.names import PYTORCH, infer_width, pair_names, parameter_shapes, take
from ...models import get_model
from ..width import scaled
from .discriminator import SCALES, Discriminator
from .network import DILATIONS, Upsampler


def _gated(ours: str, theirs: str) -> list:
    return [(f"{ours}.feature", f"{theirs}.conv2d"), (f"{ours}.gate", f"{theirs}.mask_conv2d")]


def _gated_norm(ours: str, theirs: str) -> list:
    return [(f"{o}.{i}", f"{t}.{i}") for o, t in _gated(ours, theirs) for i in range(2)]


def _attention(ours: str, theirs: str) -> list:
    names = (("gamma", "gamma"), ("query", "theta"), ("key", "phi"), ("value", "g"), ("out", "o"))
    return [(f"{ours}.{o}", f"{theirs}.{t}") for o, t in names]


def _spade(ours: str, theirs: str) -> list:
    names = (("shared", "mlp_shared.0"), ("gamma", "mlp_gamma"), ("beta", "mlp_beta"))
    return [(f"{ours}.{o}", f"{theirs}.{t}") for o, t in names]


def _block(ours: str, theirs: str, learned_shortcut: bool) -> list:
    parts = (("0", "0"), ("1", "1"), *((("_shortcut", "s"),) if learned_shortcut else ()))
    convs = [row for o, t in parts for row in _gated(f"{ours}.conv{o}", f"{theirs}.conv_{t}")]
    return convs + [row for o, t in parts for row in _spade(f"{ours}.spade{o}", f"{theirs}.norm_{t}")]


# Ours, official PyTorch code.
UPSAMPLER = (
    *_gated_norm("low0", "fc"),
    *_gated_norm("low1", "fc2"),
    *(row for i in range(3) for row in _gated_norm(f"encoder.{i}", f"encoder.{i + 1}")),
    *_gated_norm("fuse", "fuse_conv"),
    *(
        row
        for i in range(len(DILATIONS))
        for ours, theirs in (("first", 1), ("second", 3))
        for row in _gated_norm(f"residual.{i}.{ours}", f"res_blocks.{i}.conv_block.{theirs}")
    ),
    *_attention("attention", "attn"),
    *_block("block0", "sp0", learned_shortcut=False),
    *_block("block1", "sp1", learned_shortcut=True),
    ("out", "conv_img"),
)


def _scale(i: int) -> list:
    ours, theirs = f"scales.{i}", f"discriminator_{i}"
    return [
        *_attention(f"{ours}.attention", f"{theirs}.attn"),
        (f"{ours}.first", f"{theirs}.model0.0"),
        *((f"{ours}.convs.{stage}", f"{theirs}.model{stage + 1}.0.0") for stage in range(3)),
        (f"{ours}.out", f"{theirs}.model4.0"),
    ]


DISCRIMINATOR = tuple(row for i in range(SCALES) for row in _scale(i))

# Official arrays that are as long as a network's channel counts.
COUNTED = {
    "upsampler": {64 << i: f"encoder.{i + 1}.conv2d.1.weight" for i in range(3)},
    "discriminator": {128 << i: f"discriminator_0.model{i + 1}.0.0.weight_u" for i in range(3)},
}

NETWORKS = {"upsampler": (Upsampler, UPSAMPLER), "discriminator": (Discriminator, DISCRIMINATOR)}


def layout(name: str, width: float) -> tuple[dict[str, tuple], list]:
    """Parameters of one network with their shapes, and the pairs of our names and the official ones."""
    make, table = NETWORKS[name]
    shapes = parameter_shapes(make(width))
    return shapes, pair_names(table, PYTORCH, shapes)


def from_official(path: Path, output: Path) -> str:
    """The official state dict of the upsampler, or of its discriminator -> one file."""
    state = as_arrays(read_torch(path), str(path))
    name = "discriminator" if any(key.startswith("discriminator_") for key in state) else "upsampler"
    counts = {channels: len(np.atleast_1d(state[key])) for channels, key in COUNTED[name].items() if key in state}
    width = infer_width(counts, scaled)
    shapes, pairs = layout(name, width)
    arrays = take(state, pairs, shapes, str(path))
    tracked = max((int(state[theirs]) for ours, theirs in pairs if ours is None), default=0)
    save_network(output, arrays, get_model("upsampler").info(name, batches_tracked=tracked, width=width))
    return f"{name}, width {width}"


def to_official(path: Path, output: Path) -> str:
    """An upsampler, or its discriminator, given the file or for the upsampler its folder -> its official state dict."""
    file = read_network(path, "upsampler")
    file.check(*(("upsampler", name) for name in NETWORKS))
    arrays, info = file.arrays, file.info
    shapes, pairs = layout(info.network, info.width)
    take(arrays, [(name, name) for name in shapes], shapes, str(file.path))
    tracked = np.array(info.batches_tracked, np.int64)
    write_torch({theirs: tracked if ours is None else arrays[ours] for ours, theirs in pairs}, output)
    return f"{info.network}, width {info.width}, iteration {info.iteration}"
