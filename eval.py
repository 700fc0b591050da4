"""Score a network on images with masks, by hole ratio: a table, metrics.json, per_image.csv and a sheet of images.

  eval.py --checkpoint_path CHECKPOINT --data_root FOLDER --eval_masks_root FOLDER --output_path FOLDER

CHECKPOINT is a folder checkpoints/NNNNNNN, the file checkpoints/last, a generator.ckpt, or a .mindir or .onnx file of
export.py; without one, the weights that ship with the project are used. Image i goes with mask i mod count, and only
what the network put into holes differs from the image.
"""

from pathlib import Path

from model_utils.config import Config, refuse_unused
from model_utils.entry import DEVICE_GROUPS, OPENING_GROUPS, checkpoint_or_shipped, listed, require, run
from src.errors import InputError

OPTION_GROUPS = (
    *DEVICE_GROUPS,
    *OPENING_GROUPS,
    "Overwriting",
    "ONNX files",
    "Images",
    "Masks",
    "Evaluation",
    "Output of evaluation and export",
)

# Options that the numbers depend on: metrics.json repeats them.
REPORTED = ("data_root", "anno_path", "split", "center_crop", "eval_masks_root", "mask_polarity")
REPORTED += ("metrics", "metrics_path", "device_target", "mode", "num_parallel_workers")
REPORTED_OF_ONNX = ("runtime", "precision")  # where the network is an ONNX file


def main(config: Config) -> None:
    require(config, "data_root", "eval_masks_root", "output_path")
    from model_utils.device import prepare, runs_without_mindspore

    checkpoint = checkpoint_or_shipped(config)
    onnx = runs_without_mindspore(checkpoint, config.device_target)
    prepare(config)
    from src.data.images import check_headers, list_images, list_split
    from src.data.masks import check_masks
    from src.data.samples import EvaluationSamples
    from src.evaluation.baselines import BASELINES
    from src.evaluation.buckets import COLUMNS
    from src.evaluation.evaluation import Evaluation, baseline_method, network_method
    from src.evaluation.image_quality import get_protocol
    from src.evaluation.perceptual import load_networks
    from src.evaluation.report import FILES, write_report
    from src.files import make_folder, refuse_existing
    from src.inference.inpainter import Inpainter
    from src.inference.open_network import open_network

    baselines = listed("baselines", config.baselines, BASELINES)
    metrics = listed("metrics", config.metrics, COLUMNS)
    if not metrics:
        raise InputError(f"--metrics is empty; choose from {', '.join(COLUMNS)}, with commas between")
    folder, protocol = Path(config.output_path), get_protocol(config.protocol)
    refuse_existing([folder / name for name in FILES], config.overwrite)
    image_paths = list_split(config.data_root, config.anno_path, config.split)
    check_headers(image_paths, config.center_crop)
    mask_paths = list_images(config.eval_masks_root)
    check_masks(mask_paths, config.mask_polarity)
    how = config.chosen(("runtime", "precision"))
    chosen = config.chosen(config.as_dict())
    networks = load_networks(metrics, config.metrics_path)
    inpainter = Inpainter(open_network(checkpoint, chosen, config.eval_batch_size, **how))
    refuse_unused(config, inpainter.info.model)
    make_folder(folder)

    info = inpainter.info
    samples = EvaluationSamples(
        image_paths,
        mask_paths,
        info.image_size,
        config.mask_polarity,
        config.center_crop,
        getattr(info, "sigma", 0.0),
        inpainter.edge_mode,
    )
    methods = {info.model: network_method(inpainter)} | {name: baseline_method(name) for name in baselines}
    evaluation = Evaluation(samples, methods, protocol, metrics, networks)
    evaluation.run(inpainter.batch_size, config.num_parallel_workers)
    facts = {
        "options": {name: getattr(config, name) for name in (*REPORTED, *(REPORTED_OF_ONNX if onnx else ()))},
        "checkpoint": {"path": str(checkpoint), **info.facts()},
    }
    print(write_report(folder, evaluation, facts))
    print(f"wrote {', '.join(FILES)} to {folder}")


if __name__ == "__main__":
    run(main)
