"""Make checkpoints of this project from other code's files, or a file of the official PyTorch code from ours.

  convert.py --source official --model MODEL --input FILE.pth --output FILE.ckpt
  convert.py --source ours     --model MODEL --input FOLDER   --output FILE.pth

Sources are official, modelzoo, torchvision and ours; a source that a model has no files of is answered with the list
of what there is. Where the official file holds several networks, --output is a checkpoint folder. For ours the input
may be a network's file as well. An https:// address as --input is downloaded. docs/convert.md has the commands by the
names of the files, and says where these are. Every array is used exactly once and its shape checked; names that do not
fit are listed.
"""

from pathlib import Path

from model_utils.config import Config, refuse_unused
from model_utils.entry import require, run
from src.convert.table import convertible, get_converter
from src.errors import InputError

OPTION_GROUPS = (
    "Overwriting",
    "Network",
    "Output of inference and conversion",
    "Conversion",
)
OPTION_RULES = {"model": " | ".join(convertible())}


def main(config: Config) -> None:
    require(config, "source", "input", "output")
    refuse_unused(config, config.model)
    from src.convert.download import fetch, is_address
    from src.convert.files import whole

    converter, output = get_converter(config.source, config.model), Path(config.output)
    if config.source != "ours" and not converter.to_folder and output.suffix != ".ckpt":
        raise InputError(f"--output {output}: a network's file ends in .ckpt")
    options = {name: getattr(config, name) for name in converter.options}

    with whole(output, config.overwrite) as new:
        source = fetch(config.input) if is_address(config.input) else Path(config.input)
        what = converter.load()(source, new, **options)
    print(f"wrote {output}: {what}")


if __name__ == "__main__":
    run(main)
