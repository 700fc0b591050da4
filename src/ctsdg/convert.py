"""CTSDG's networks from and to the official PyTorch code, and from the MindSpore model zoo."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint import read_network, save_network
from ..convert.files import as_arrays, read_mindspore, read_torch, write_torch
from ..convert.names import LISTED, MODELZOO, PYTORCH, infer_width, pair_names, parameter_shapes, take
from ..errors import InputError
from ..models import get_model
from . import Discriminator, Generator
from .generator import ENCODER_STAGES, scaled


def _stream(s: str) -> list:
    encoder, decoder = [], []
    for i in range(7):
        encoder += [
            (f"{s}_encoder.stages.{i}.conv.conv", f"ec_{s}_{i + 1}.conv", f"ec_{s}_layers.{i}.conv.conv"),
            (f"{s}_encoder.stages.{i}.norm", f"ec_{s}_{i + 1}.bn", f"ec_{s}_layers.{i}.bn"),
        ]
        # The other code bases number the decoder's stages by level, ours in the order they run.
        decoder += [
            (f"{s}_decoder.stages.{i}.conv.conv", f"dc_{s}_{7 - i}.conv", f"dc_{s}_layers.{6 - i}.conv.conv"),
            (f"{s}_decoder.stages.{i}.norm", f"dc_{s}_{7 - i}.bn", f"dc_{s}_layers.{6 - i}.bn"),
        ]
    return encoder + decoder


def _projection(s: str) -> list:
    ours, theirs = f"{s}_projection", f"{s}_feature_projection"
    return [
        (f"{ours}.resolver.conv1", *[f"{theirs}.{s}_resolver.conv1"] * 2),
        (f"{ours}.resolver.norm1", *[f"{theirs}.{s}_resolver.bn1"] * 2),
        (f"{ours}.resolver.conv2", *[f"{theirs}.{s}_resolver.conv2"] * 2),
        (f"{ours}.resolver.norm2", *[f"{theirs}.{s}_resolver.bn2"] * 2),
        (f"{ours}.out", *[f"{theirs}.out_layer.0"] * 2),
    ]


# Ours, official PyTorch code, MindSpore model zoo.
GENERATOR = (
    *_stream("texture"),
    *_stream("structure"),
    *_projection("structure"),
    *_projection("texture"),
    ("bigff.structure_gamma", "bigff.structure_gamma", "bigff.structure_gamma"),
    ("bigff.texture_gamma", "bigff.texture_gamma", "bigff.texture_gamma"),
    ("bigff.structure_gate.0", "bigff.structure_gate.0", "bigff.structure_gate.0"),
    ("bigff.texture_gate.0", "bigff.texture_gate.0", "bigff.texture_gate.0"),
    ("fusion1.0", "fusion_layer1.0", "fusion_layer1.0"),
    ("cfa.aggregation.dilated_convs.0.0", "cfa.msfa.dilated_conv_0.0", "cfa.msfa.dilated_convs.0.0"),
    ("cfa.aggregation.dilated_convs.1.0", "cfa.msfa.dilated_conv_1.0", "cfa.msfa.dilated_convs.1.0"),
    ("cfa.aggregation.dilated_convs.2.0", "cfa.msfa.dilated_conv_2.0", "cfa.msfa.dilated_convs.2.0"),
    ("cfa.aggregation.dilated_convs.3.0", "cfa.msfa.dilated_conv_3.0", "cfa.msfa.dilated_convs.3.0"),
    ("cfa.aggregation.weight_calc.0", "cfa.msfa.weight_calc.0", "cfa.msfa.weight_calc.0"),
    ("cfa.aggregation.weight_calc.2", "cfa.msfa.weight_calc.2", "cfa.msfa.weight_calc.2"),
    ("fusion2.0", "fusion_layer2.0", "fusion_layer2.0"),
    ("out.0", "out_layer.0", "out_layer.0"),
)


def _branch(s: str) -> list:
    return [
        (f"{s}_branch.stages.0.0", f"{s}_branch.conv1.0", f"{s}_branch.conv1.0"),
        # The official code registers this convolution twice. A file holds both names; the later one counts.
        (f"{s}_branch.stages.0.0", f"{s}_branch.features.0", None),
        (f"{s}_branch.stages.1.0", f"{s}_branch.conv2.0", f"{s}_branch.conv2.0"),
        (f"{s}_branch.stages.2.0", f"{s}_branch.conv3.0", f"{s}_branch.conv3.0"),
        (f"{s}_branch.stages.3.0", f"{s}_branch.conv4.0", f"{s}_branch.conv4.0"),
        (f"{s}_branch.out", f"{s}_branch.conv5.0", f"{s}_branch.conv5"),
    ]


DISCRIMINATOR = (
    *_branch("texture"),
    *_branch("structure"),
    ("edge_detector.projection.0", "edge_detector.projection.0", "edge_detector.projection.0"),
    ("edge_detector.projection.1", "edge_detector.projection.1", "edge_detector.projection.1"),
    ("edge_detector.residual.0", "edge_detector.res_layer.0", "edge_detector.res_layer.0"),
    ("edge_detector.residual.1", "edge_detector.res_layer.1", "edge_detector.res_layer.1"),
    ("edge_detector.residual.3", "edge_detector.res_layer.3", "edge_detector.res_layer.3"),
    ("edge_detector.residual.4", "edge_detector.res_layer.4", "edge_detector.res_layer.4"),
    ("edge_detector.out.0", "edge_detector.out_layer.0", "edge_detector.out_layer.0"),
)

NETWORKS = {"generator": (Generator, GENERATOR), "discriminator": (Discriminator, DISCRIMINATOR)}

# Entries of our files for what an official file holds beside the parameters. Networks ignore them, training drops them.
KEPT = "official."


def from_official(path: Path, output: Path, seamless: bool, edge_mode: str, image_size: int) -> str:
    """The official checkpoint (n_iter, generator, discriminator) -> a checkpoint folder.

    What the file does not say, the options of these names do: benchmarks/published_training.py can train otherwise.
    """
    content = read_torch(path)
    wanted = ("n_iter", *NETWORKS)
    lacking, more = ([str(name) for name in a if name not in b] for a, b in ((wanted, content), (content, wanted)))
    if lacking:
        found = ", ".join(map(str, list(content)[:LISTED])) or "nothing"
        raise InputError(f"{path} is no CTSDG checkpoint: it holds {found}, and lacks {', '.join(lacking)}")
    if more:
        raise InputError(f"{path} holds {', '.join(more[:LISTED])} beside {', '.join(wanted)}; save it without")
    if not isinstance(content["n_iter"], int):
        raise InputError(
            f"{path}: its n_iter is a {type(content['n_iter']).__name__}, not a whole number; save it as one"
        )
    states = {name: as_arrays(content[name], f"{path} ({name})") for name in NETWORKS}
    width = infer_width(channel_counts(states["generator"], PYTORCH), scaled)
    settings: dict[str, Any] = {"width": width, "seamless": seamless, "edge_mode": edge_mode, "image_size": image_size}

    output.mkdir()
    for name, state in states.items():
        shapes, pairs = layout(name, width, PYTORCH)
        arrays = take(state, pairs, shapes, f"{path} ({name})")
        tracked = max(int(state[theirs]) for ours, theirs in pairs if ours is None)
        info = get_model("ctsdg").info(name, content["n_iter"], tracked, **settings)
        # What the way back would not give as it was: the first name of a twice registered convolution, if it differs.
        back = official_state(arrays, pairs, tracked)
        arrays |= {KEPT + key: array for key, array in state.items() if array.tobytes() != back[key].tobytes()}
        save_network(output / f"{name}.ckpt", arrays, info)
    return f"{' and '.join(states)}, width {width}, iteration {content['n_iter']}"


def to_official(path: Path, output: Path, seamless: bool) -> str:
    """A checkpoint folder -> a file that the official code loads.

    seamless: the user knows that the weights are for --seamless true, as benchmarks/published_training.py takes them
    """
    content: dict[str, Any] = {}
    for name in NETWORKS:
        file = read_network(path, name)
        file.check(("ctsdg", name), instead="a checkpoint folder")
        arrays, info = file.arrays, file.info
        if info.align_corners:
            raise InputError(f"{file.path} up-samples with aligned corners, which the official code does not do")
        if info.seamless and not seamless:
            raise InputError(
                f"{file.path} was trained with --seamless true, which the official code does not know; for "
                "benchmarks/published_training.py, which does, give --seamless true here too"
            )
        shapes, pairs = layout(name, info.width, PYTORCH)
        kept = {KEPT + theirs for _, theirs in pairs}
        own = {key: array for key, array in arrays.items() if key not in kept}
        take(own, [(key, key) for key in shapes], shapes, str(file.path))
        content.setdefault("n_iter", info.iteration)
        content[name] = official_state(arrays, pairs, info.batches_tracked)
    write_torch(content, output)
    clean = "; trained on clean edges, while the official code computes its own" if info.edge_mode == "clean" else ""
    return f"{' and '.join(NETWORKS)}, width {info.width}, iteration {info.iteration}{clean}"


def from_modelzoo(path: Path, output: Path) -> str:
    """generator_N.ckpt, with its discriminator_N.ckpt if there, or the newest of a folder -> a checkpoint folder."""
    files, iteration = modelzoo_files(path)
    states = {name: read_mindspore(file) for name, file in files.items()}
    width = infer_width(channel_counts(states["generator"], MODELZOO), scaled)

    output.mkdir()
    for name, state in states.items():
        shapes, pairs = layout(name, width, MODELZOO)
        info = get_model("ctsdg").info(name, iteration, width=width, align_corners=True)
        save_network(output / f"{name}.ckpt", take(state, pairs, shapes, str(files[name])), info)
    return f"{' and '.join(states)}, width {width}, iteration {iteration}"


def modelzoo_files(path: Path) -> tuple[dict[str, Path], int]:
    """The file of each network there is, and their number. Raises InputError if there is none of a generator."""
    folder, candidates = (path, path.iterdir()) if path.is_dir() else (path.parent, [path])
    matches = [re.fullmatch(r"(?:generator|discriminator)_(\d+)\.ckpt", file.name) for file in candidates]
    number = max((match[1] for match in matches if match), key=int, default="NNNNNN")
    files = {name: folder / f"{name}_{number}.ckpt" for name in NETWORKS}
    if not files["generator"].is_file():
        raise InputError(f"{files['generator']} does not exist; --input takes a file of that name, or its folder")
    return {name: file for name, file in files.items() if file.is_file()}, int(number)


def layout(name: str, width: float, column: int) -> tuple[dict[str, tuple], list]:
    """Parameters of one network with their shapes, and the pairs of names that `column` holds them under."""
    make, table = NETWORKS[name]
    shapes = parameter_shapes(make(width))
    return shapes, pair_names(table, column, shapes)


def official_state(arrays: dict[str, np.ndarray], pairs: list, batches_tracked: int) -> dict[str, np.ndarray]:
    """The official state dict, in its order."""
    tracked = np.array(batches_tracked, np.int64)
    return {theirs: arrays.get(KEPT + theirs, tracked if ours is None else arrays[ours]) for ours, theirs in pairs}


def channel_counts(generator: dict[str, np.ndarray], column: int) -> dict[int, int]:
    """Channel counts of the published generator, and those of this one; none if it lacks a module."""
    names = {row[0]: f"{row[column]}.weight" for row in GENERATOR}
    modules = {f"texture_encoder.stages.{i}.conv.conv": channels for i, (channels, _) in enumerate(ENCODER_STAGES)}
    modules["texture_projection.resolver.conv1"] = 16
    if any(names[module] not in generator for module in modules):
        return {}
    return {channels: len(np.atleast_1d(generator[names[module]])) for module, channels in modules.items()}
