"""Make checkpoints of this project from other code's files, or a file of the official PyTorch code from ours.

  convert.py --source official    --model ctsdg --input FILE.pth --output FOLDER
  convert.py --source modelzoo    --model ctsdg --input generator_NNNNNN.ckpt --output FOLDER
  convert.py --source torchvision --model vgg16 --input vgg16-397923af.pth --output vgg16.ckpt
  convert.py --source modelzoo    --model vgg16 --input FILE.ckpt --output vgg16.ckpt
  convert.py --source ours        --model ctsdg --input FOLDER --output FILE.pth

Every array is used exactly once and its shape checked; names that do not fit are listed.
"""

from pathlib import Path

from model_utils.config import Config, refuse_unused
from model_utils.entry import require, run
from src.errors import InputError


def main(config: Config) -> None:
    require(config, "source", "input", "output")
    refuse_unused(config, config.model)
    from src.convert import ctsdg, vgg
    from src.convert.files import whole

    conversions = {
        ("official", "ctsdg"): ctsdg.from_official,
        ("modelzoo", "ctsdg"): ctsdg.from_modelzoo,
        ("ours", "ctsdg"): ctsdg.to_official,
        ("torchvision", "vgg16"): vgg.from_torchvision,
        ("modelzoo", "vgg16"): vgg.from_modelzoo,
    }
    if (config.source, config.model) not in conversions:
        known = "; ".join(f"--source {source} --model {model}" for source, model in conversions)
        raise InputError(f"no conversion --source {config.source} --model {config.model}; there are {known}")
    output = Path(config.output)
    if config.model == "vgg16" and output.suffix != ".ckpt":
        raise InputError(f"--output {output}: a network's file ends in .ckpt")

    with whole(output, config.overwrite) as new:
        what = conversions[config.source, config.model](Path(config.input), new)
    print(f"wrote {output}: {what}")


if __name__ == "__main__":
    run(main)
