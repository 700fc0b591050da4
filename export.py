"""Write a checkpoint as a MINDIR file, for infer.py, eval.py, or programs that have MindSpore but not this project.

  export.py --checkpoint_path CHECKPOINT --output_path FILE.mindir

CHECKPOINT is a folder checkpoints/NNNNNNN, the file checkpoints/last, or a generator.ckpt. FILE.json, written beside
FILE.mindir, says how to use it; infer.py and eval.py need it. A fresh process tries the file before it gets its name.
"""

from pathlib import Path

from model_utils.config import Config
from model_utils.entry import require, run, stop
from src.errors import InputError


def main(config: Config) -> None:
    require(config, "checkpoint_path", "output_path")
    path = Path(config.output_path)
    if path.suffix != ".mindir":
        raise InputError(f"--output_path {path}: give the name of a file that ends in .mindir")
    from src.files import make_folder, refuse_existing, staged

    refuse_existing([path, path.with_suffix(".json")], config.overwrite)

    from model_utils.device import prepare

    prepare(config, few_runs=True)
    from src.export import TOLERANCE, example_inputs, export_mindir, largest_difference
    from src.inference import SETTINGS, Inpainter, load_checkpoint

    network, info = load_checkpoint(config.checkpoint_path, config.chosen(SETTINGS))
    make_folder(path.parent)
    inputs = example_inputs(info, config.export_batch_size)
    with staged(path.parent) as folder:
        export_mindir(network, info, inputs, folder / path.name)
        expected = Inpainter(network, info, config.export_batch_size).complete(**inputs)
        difference = largest_difference(folder / path.name, inputs, expected, config.device_target, config.device_id)
        print(f"largest difference between checkpoint and file, loaded in a fresh process: {difference:.2g}")
        if not difference <= TOLERANCE:
            stop(f"error: that is over {TOLERANCE:g}, so {path} was not written", 1)
        megabytes = (folder / path.name).stat().st_size / 1e6
    print(f"wrote {path} ({megabytes:.0f} MB, batch {config.export_batch_size}) and {path.with_suffix('.json').name}")


if __name__ == "__main__":
    run(main)
