"""Who converts what: a line for each pair of --source and --model. Importing this file imports no MindSpore."""

import pkgutil
from collections.abc import Callable
from typing import NamedTuple

from ..errors import InputError


class Converter(NamedTuple):
    function: str  # "module:function": input, output, options by name -> a few words on what was converted
    options: tuple[str, ...] = ()  # options of convert.py: what files of the source do not say of themselves
    to_folder: bool = False  # --output is a checkpoint folder instead of one network's file

    def load(self) -> Callable[..., str]:
        return pkgutil.resolve_name(self.function)


ROOT = __package__.rpartition(".")[0]
CTSDG, DGTS, UPSAMPLER = f"{ROOT}.ctsdg.convert", f"{ROOT}.dgts.convert", f"{ROOT}.dgts.upsampler.convert"
RESNET, VGG, METRICS = f"{ROOT}.dgts.convert_resnet", f"{ROOT}.convert.vgg", f"{ROOT}.convert.perceptual"

CONVERTERS = {
    ("official", "ctsdg"): Converter(f"{CTSDG}:from_official", ("seamless", "edge_mode", "image_size"), True),
    ("modelzoo", "ctsdg"): Converter(f"{CTSDG}:from_modelzoo", to_folder=True),
    ("ours", "ctsdg"): Converter(f"{CTSDG}:to_official", ("seamless",)),
    ("official", "dgts"): Converter(f"{DGTS}:from_official", ("matching_lambda",)),
    ("ours", "dgts"): Converter(f"{DGTS}:to_official"),
    ("official", "upsampler"): Converter(f"{UPSAMPLER}:from_official"),
    ("ours", "upsampler"): Converter(f"{UPSAMPLER}:to_official"),
    ("torchvision", "vgg16"): Converter(f"{VGG}:vgg16_from_torchvision"),
    ("modelzoo", "vgg16"): Converter(f"{VGG}:vgg16_from_modelzoo"),
    ("ours", "vgg16"): Converter(f"{VGG}:vgg16_to_torchvision"),
    ("torchvision", "vgg19"): Converter(f"{VGG}:vgg19_from_torchvision"),
    ("official", "vgg19"): Converter(f"{VGG}:vgg19_from_official"),
    ("ours", "vgg19"): Converter(f"{VGG}:vgg19_to_published"),
    ("torchvision", "resnet50"): Converter(f"{RESNET}:from_torchvision"),
    ("ours", "resnet50"): Converter(f"{RESNET}:to_torchvision"),
    ("torchvision", "lpips"): Converter(f"{METRICS}:lpips_from_torchvision", ("lpips_linear",)),
    ("torchvision", "lpips_vgg"): Converter(f"{METRICS}:lpips_vgg_from_torchvision", ("lpips_linear",)),
    ("official", "fid"): Converter(f"{METRICS}:inception_from_official"),
}


def convertible() -> tuple[str, ...]:
    """What --model of convert.py takes: models, and networks that training or metrics look through."""
    return tuple(dict.fromkeys(model for _, model in CONVERTERS))


def get_converter(source: str, model: str) -> Converter:
    """Raises InputError that lists what there is."""
    if (source, model) not in CONVERTERS:
        known = "; ".join(f"--source {source} --model {model}" for source, model in CONVERTERS)
        raise InputError(f"no conversion --source {source} --model {model}; there are {known}")
    return CONVERTERS[source, model]
