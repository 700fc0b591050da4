"""The generator of DGTS, from and to the official PyTorch code."""

from pathlib import Path

import numpy as np

from ..checkpoint import read_network, save_network
from ..convert.files import as_arrays, read_torch, write_torch
from ..convert.names import PYTORCH, infer_width, pair_names, parameter_shapes, take
from ..models import get_model
from . import decoder, encoder
from .convert_resnet import resnet_table
from .generator import Generator
from .width import scaled

PARALLEL = "module."  # in front of every name: the official files were saved from DataParallel


def _encoder_layer(i: int) -> list:
    layer = f"encoder.layers.{i}"
    return [
        (f"{layer}.attention.in_weight", f"{layer}.self_attn.in_proj_weight"),
        (f"{layer}.attention.in_bias", f"{layer}.self_attn.in_proj_bias"),
        (f"{layer}.attention.out", f"{layer}.self_attn.out_proj"),
        *_feed_forward(layer),
    ]


def _decoder_layer(i: int) -> list:
    layer = f"decoder.layers.{i}"
    names = {"known_features": "known", "unknown_features": "unknown", "query": "query", "key": "key", "value": "value"}
    attention = [(f"{layer}.{ours}", f"{layer}.en_de_attn.{theirs}") for ours, theirs in names.items()]
    return [*attention, *_feed_forward(layer)]


def _feed_forward(layer: str) -> list:
    return [
        (f"{layer}.feed_forward.linear1", f"{layer}.linear1"),
        (f"{layer}.feed_forward.linear2", f"{layer}.linear2"),
        (f"{layer}.norm", f"{layer}.norm1"),
        (f"{layer}.feed_forward.norm", f"{layer}.norm2"),
    ]


# Ours, official PyTorch code.
GENERATOR = (
    *(row for i in range(encoder.LAYERS) for row in _encoder_layer(i)),
    ("decoder.embedding", "embeddings.patch_embeddings"),
    *(row for i in range(decoder.LAYERS) for row in _decoder_layer(i)),
    ("decoder.pixel_head.dense", "value1"),
    ("decoder.pixel_head.conv", "deconv.0"),
    ("encoder.projection", "input_proj"),
    ("coarse.query", "aq"),
    ("coarse.key", "ak"),
    ("coarse.norm", "anorm"),
    *resnet_table("encoder.backbone.", "backbone.0.body."),
)

# Channel counts of the published network, and an official array that is as long.
COUNTED = {
    1536: "decoder.layers.0.linear1.bias",
    1024: "encoder.layers.0.linear1.bias",
    512: "backbone.0.body.layer4.0.bn1.weight",
    384: "aq.bias",
    256: "input_proj.bias",
    64: "backbone.0.body.bn1.weight",
}


def layout(width: float) -> tuple[dict[str, tuple], list]:
    """Parameters with their shapes, and the pairs of our names and the official ones."""
    shapes = parameter_shapes(Generator(width))
    # Layer norms and frozen batch norms count nothing.
    return shapes, [(ours, theirs) for ours, theirs in pair_names(GENERATOR, PYTORCH, shapes) if ours]


def from_official(path: Path, output: Path, matching_lambda: float) -> str:
    """The official state dict -> one file. It does not say which lambda its network has; 0.1 is that of Places2."""
    state = as_arrays(read_torch(path), str(path))
    state = {name.removeprefix(PARALLEL): array for name, array in state.items()}
    counts = {channels: len(np.atleast_1d(state[key])) for channels, key in COUNTED.items() if key in state}
    width = infer_width(counts, scaled)
    shapes, pairs = layout(width)
    arrays = take(state, pairs, shapes, str(path))
    save_network(output, arrays, get_model("dgts").info("generator", width=width, matching_lambda=matching_lambda))
    return f"generator, width {width}, matching_lambda {matching_lambda}"


def to_official(path: Path, output: Path) -> str:
    """A checkpoint folder, or its generator.ckpt -> the official state dict."""
    file = read_network(path, "generator")
    file.check(("dgts", "generator"))
    arrays, info = file.arrays, file.info
    shapes, pairs = layout(info.width)
    take(arrays, [(name, name) for name in shapes], shapes, str(file.path))
    write_torch({PARALLEL + theirs: arrays[ours] for ours, theirs in pairs}, output)
    return f"generator, width {info.width}; the official code wants lambda {info.matching_lambda} set by hand"
