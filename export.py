"""Write a checkpoint as a MINDIR file, for infer.py, eval.py, or programs that have MindSpore but not this project.

  export.py --checkpoint_path CHECKPOINT --output_path FILE.mindir

CHECKPOINT is a folder checkpoints/NNNNNNN, the file checkpoints/last, or a generator.ckpt. FILE.json, written beside
FILE.mindir, says how to use it; infer.py and eval.py need it. A fresh process tries the file before it gets its name.
A checkpoint of dgts needs an upsampler.ckpt beside generator.ckpt, or --upsampler_path; --export_parts writes both
networks as files of their own as well, FILE_generator.mindir and FILE_upsampler.mindir.
"""

from pathlib import Path

from model_utils.config import Config, refuse_unused
from model_utils.entry import require, run, stop
from src.errors import InputError

PARTS = ("_generator", "_upsampler")  # behind the name of --output_path, with --export_parts


def main(config: Config) -> None:
    require(config, "checkpoint_path", "output_path")
    path = Path(config.output_path)
    if path.suffix != ".mindir":
        raise InputError(f"--output_path {path}: give the name of a file that ends in .mindir")
    from src.files import make_folder, refuse_existing, staged

    parts = PARTS if config.export_parts else ()
    files = [path.with_name(f"{path.stem}{suffix}.mindir") for suffix in ("", *parts)]
    refuse_existing([file.with_suffix(suffix) for file in files for suffix in (".mindir", ".json")], config.overwrite)

    from model_utils.device import prepare

    prepare(config, few_runs=True)
    from src.export import TOLERANCE, export_mindir, largest_difference, try_network
    from src.networks import SETTINGS, load_checkpoint

    network, info = load_checkpoint(config.checkpoint_path, config.chosen(SETTINGS), config.upsampler_path)
    refuse_unused(config, info.model)
    make_folder(path.parent)
    with staged(path.parent) as folder:
        tried = try_network(network, info, config.export_batch_size, config.export_parts)
        for exported, file in zip(tried, files, strict=True):
            export_mindir(exported, config.export_batch_size, folder / file.name)
            difference = largest_difference(folder / file.name, exported, config.device_target, config.device_id)
            print(f"largest difference between checkpoint and {file.name}, in a fresh process: {difference:.2g}")
            if not difference <= TOLERANCE:
                stop(f"error: that is over {TOLERANCE:g}, so {path} was not written", 1)
    for file in files:
        size, sidecar = f"{file.stat().st_size / 1e6:.0f} MB", file.with_suffix(".json").name
        print(f"wrote {file} ({size}, batch {config.export_batch_size}) and {sidecar}")


if __name__ == "__main__":
    run(main)
