"""Write a checkpoint as a MINDIR file, for infer.py, eval.py, or programs that have MindSpore but not this project.

  export.py --checkpoint_path CHECKPOINT --output_path FILE.mindir

CHECKPOINT is a folder checkpoints/NNNNNNN, the file checkpoints/last, or a generator.ckpt. FILE.json, written beside
FILE.mindir, says how to use it; infer.py and eval.py need it. A fresh process tries the file before it gets its name.
A model of several networks may need more files, see its options; --export_parts writes each of these networks as a
file of its own as well.
"""

from pathlib import Path

from model_utils.config import Config, refuse_unused
from model_utils.entry import require, run, stop
from src.errors import InputError


def main(config: Config) -> None:
    require(config, "checkpoint_path", "output_path")
    path = Path(config.output_path)
    if path.suffix != ".mindir":
        raise InputError(f"--output_path {path}: give the name of a file that ends in .mindir")
    from src.files import make_folder, refuse_existing, staged

    def check(*files: Path) -> None:
        written = [file.with_suffix(suffix) for file in files for suffix in (".mindir", ".json")]
        refuse_existing(written, config.overwrite)

    check(path)
    from model_utils.device import prepare

    prepare(config, few_runs=True)
    from src.export.mindir import TOLERANCE, export_mindir, largest_difference, try_network
    from src.models import load_inpainting, load_options

    network, info = load_inpainting(config.checkpoint_path, config.chosen(load_options()))
    refuse_unused(config, info.model)
    make_folder(path.parent)
    batch_size = config.export_batch_size
    tried = try_network(network, info, batch_size, config.export_parts)
    files = [path.with_name(f"{path.stem}{exported.suffix}.mindir") for exported in tried]
    check(*files)
    with staged(path.parent) as folder:
        for exported, file in zip(tried, files, strict=True):
            new = folder / file.name
            export_mindir(exported, batch_size, new)
            difference = largest_difference(new, exported, batch_size, config.device_target, config.device_id)
            print(f"largest difference between checkpoint and {file.name}, in a fresh process: {difference:.2g}")
            if not difference <= TOLERANCE:
                stop(f"error: that is over {TOLERANCE:g}, so {path} was not written", 1)
    for file in files:
        size, sidecar = f"{file.stat().st_size / 1e6:.0f} MB", file.with_suffix(".json").name
        print(f"wrote {file} ({size}, batch {batch_size}) and {sidecar}")


if __name__ == "__main__":
    run(main)
