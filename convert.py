"""Make checkpoints of this project from other code's files, or a file of the official PyTorch code from ours.

  convert.py --source official    --model ctsdg     --input FILE.pth --output FOLDER
  convert.py --source modelzoo    --model ctsdg     --input generator_NNNNNN.ckpt --output FOLDER
  convert.py --source official    --model dgts      --input places.pth --output FOLDER/generator.ckpt
  convert.py --source official    --model upsampler --input FILE.pth --output FOLDER/upsampler.ckpt
  convert.py --source official    --model upsampler --input ITS_DISCRIMINATOR.pth --output FOLDER/discriminator.ckpt
  convert.py --source torchvision --model vgg16     --input vgg16-397923af.pth --output vgg16.ckpt
  convert.py --source modelzoo    --model vgg16     --input FILE.ckpt --output vgg16.ckpt
  convert.py --source torchvision --model vgg19     --input vgg19-dcbb9e9d.pth --output vgg19.ckpt
  convert.py --source official    --model vgg19     --input FILE.pth --output vgg19_caffe.ckpt
  convert.py --source torchvision --model resnet50  --input resnet50-0676ba61.pth --output resnet50.ckpt
  convert.py --source ours        --model MODEL     --input FOLDER --output FILE.pth

The official vgg19 is the one of the upsampler's loss. For ours the input may be a network's file as well. Other weights
of DGTS than those for Places2 need --matching_lambda 0.3, which their file does not say.
Every array is used exactly once and its shape checked; names that do not fit are listed.
"""

from functools import partial
from pathlib import Path

from model_utils.config import Config, refuse_unused
from model_utils.entry import require, run
from src.errors import InputError


def main(config: Config) -> None:
    require(config, "source", "input", "output")
    refuse_unused(config, config.model)
    from src.convert import ctsdg, dgts, resnet, upsampler, vgg
    from src.convert.files import whole

    conversions = {
        ("official", "ctsdg"): ctsdg.from_official,
        ("modelzoo", "ctsdg"): ctsdg.from_modelzoo,
        ("ours", "ctsdg"): ctsdg.to_official,
        ("official", "dgts"): partial(dgts.from_official, matching_lambda=config.matching_lambda),
        ("ours", "dgts"): dgts.to_official,
        ("official", "upsampler"): upsampler.from_official,
        ("ours", "upsampler"): upsampler.to_official,
        ("torchvision", "vgg16"): vgg.from_torchvision,
        ("modelzoo", "vgg16"): vgg.from_modelzoo,
        ("ours", "vgg16"): vgg.vgg16_to_torchvision,
        ("torchvision", "vgg19"): vgg.vgg19_from_torchvision,
        ("official", "vgg19"): vgg.vgg19_from_official,
        ("ours", "vgg19"): vgg.vgg19_to_published,
        ("torchvision", "resnet50"): resnet.from_torchvision,
        ("ours", "resnet50"): resnet.to_torchvision,
    }
    if (config.source, config.model) not in conversions:
        known = "; ".join(f"--source {source} --model {model}" for source, model in conversions)
        raise InputError(f"no conversion --source {config.source} --model {config.model}; there are {known}")
    output = Path(config.output)
    if config.source != "ours" and config.model != "ctsdg" and output.suffix != ".ckpt":
        raise InputError(f"--output {output}: a network's file ends in .ckpt")

    with whole(output, config.overwrite) as new:
        what = conversions[config.source, config.model](Path(config.input), new)
    print(f"wrote {output}: {what}")


if __name__ == "__main__":
    run(main)
