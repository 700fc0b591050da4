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

from pathlib import Path

from model_utils.config import Config, refuse_unused
from model_utils.entry import require, run
from src.errors import InputError


def main(config: Config) -> None:
    require(config, "source", "input", "output")
    refuse_unused(config, config.model)
    from src.convert.files import whole
    from src.models import all_models, get_model

    model = get_model(config.model)
    if config.source not in model.converters:
        known = [f"--source {source} --model {m.name}" for m in all_models() for source in m.converters]
        raise InputError(f"no conversion --source {config.source} --model {config.model}; there are {'; '.join(known)}")
    output = Path(config.output)
    if config.source != "ours" and not model.converts_to_folder and output.suffix != ".ckpt":
        raise InputError(f"--output {output}: a network's file ends in .ckpt")
    options = {name: getattr(config, name) for name in model.convert_options.get(config.source, ())}

    with whole(output, config.overwrite) as new:
        what = model.converters[config.source](Path(config.input), new, **options)
    print(f"wrote {output}: {what}")


if __name__ == "__main__":
    run(main)
