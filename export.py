"""Write a checkpoint as a MINDIR or ONNX file, for infer.py, eval.py, or programs that do not have this project.

  export.py --checkpoint_path CHECKPOINT --output_path FILE.mindir
  export.py --checkpoint_path CHECKPOINT --output_path FILE.onnx
  export.py --checkpoint_path CHECKPOINT --package FOLDER

CHECKPOINT is a folder checkpoints/NNNNNNN, the file checkpoints/last, or a generator.ckpt. A MINDIR needs MindSpore, an
ONNX file OpenVINO or ONNX Runtime (requirements-onnx.txt). FILE.json, written beside it, says how to use it; infer.py
and eval.py need it. A fresh process tries the file before it gets its name. A model of several networks may need more
files, see its options; --export_parts writes each of these networks as a file of its own as well. --package writes a
folder that fills images without this project, around model.onnx or the file that --output_path names.
"""

from pathlib import Path
from types import ModuleType

from model_utils.config import Config, refuse_unused
from model_utils.entry import DEVICE_GROUPS, OPENING_GROUPS, require, run, stop
from src.errors import InputError

OPTION_GROUPS = (
    *DEVICE_GROUPS,
    *OPENING_GROUPS,
    "Overwriting",
    "Output of evaluation and export",
    "Export",
)


def main(config: Config) -> None:
    require(config, "checkpoint_path", *(() if config.package else ("output_path",)))
    path = Path(config.output_path or "model.onnx")
    if config.package:
        if path.parent != Path():
            raise InputError(f"--output_path {path}: it goes into the --package folder; give its name alone")
        path = Path(config.package, path)
    if path.suffix not in (".mindir", ".onnx"):
        raise InputError(f"--output_path {path}: give the name of a file that ends in .mindir or .onnx")
    from src.files import make_folder, refuse_existing, staged

    def check(*files: Path) -> None:
        written = [file.with_suffix(suffix) for file in files for suffix in (path.suffix, ".json")]
        refuse_existing(written, config.overwrite)

    check(path)
    if config.package and config.export_parts:
        raise InputError("--export_parts writes files that fill no holes alone; leave it out with --package")
    if config.package and path.parent.is_dir() and any(path.parent.iterdir()):
        raise InputError(f"--package {config.package} is not empty; give another folder")
    if path.suffix == ".onnx":
        from src.inference.onnx_runtimes import RUNTIMES, require_packages

        require_packages("onnx", *RUNTIMES)
    from model_utils.device import prepare

    prepare(config, few_runs=True)
    file_format: ModuleType
    if path.suffix == ".onnx":
        from src.export import onnx_file as file_format
    else:
        from src.export import mindir as file_format
    from src.export.package import write_package
    from src.export.trial import largest_difference, try_network
    from src.inference.load import load_inpainting
    from src.inference.sidecar import write_sidecar
    from src.models import get_model

    network, info = load_inpainting(config.checkpoint_path, config.chosen(config.as_dict()))
    refuse_unused(config, info.model)
    make_folder(path.parent)
    batch_size, tolerance = config.export_batch_size, file_format.TOLERANCE
    tried = try_network(network, info, batch_size, config.export_parts)
    files = [path.with_name(f"{path.stem}{exported.suffix}{path.suffix}") for exported in tried]
    check(*files)
    with staged(path.parent) as folder:
        for exported, file in zip(tried, files, strict=True):
            new = folder / file.name
            file_format.write(exported, batch_size, new)
            built_in = get_model(exported.info.model).build_options
            write_sidecar(new, exported.info, batch_size, exported.inputs, exported.outputs, built_in)
            for runtime, how in file_format.runtimes(config.device_target, config.device_id).items():
                difference = largest_difference(new, exported, batch_size, *how)
                print(
                    f"largest difference between checkpoint and {file.name}, in a fresh process with {runtime}: "
                    f"{difference:.2g}"
                )
                if not difference <= tolerance:
                    stop(f"error: that is over {tolerance:g}, so {path} was not written", 1)
        if config.package:
            write_package(folder, folder / path.name)
    for file in files:
        size, sidecar = f"{file.stat().st_size / 1e6:.0f} MB", file.with_suffix(".json").name
        print(f"wrote {file} ({size}, batch {batch_size}) and {sidecar}")
    if config.package:
        print(f"{config.package}/README.md says how to use the folder, here or elsewhere")


if __name__ == "__main__":
    run(main)
