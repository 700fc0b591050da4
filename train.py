"""Train an inpainting network: python train.py --data_root PICTURES --save_path RUN [--option value ...]

Writes checkpoints/, samples/, metrics.csv, config.yaml and losses.png under --save_path.
Without --train_masks_root, masks are drawn. Stage 1 runs --train_iter iterations, stage 2 --finetune_iter.
"""

from model_utils.config import Config, refuse_unused
from model_utils.entry import require, run
from src.errors import InputError


def main(config: Config) -> None:
    require(config, "data_root", "save_path")
    from model_utils.device import prepare
    from src.training.models import TRAININGS
    from src.training.trainer import train

    if config.model not in TRAININGS:
        raise InputError(f"--model {config.model} cannot be trained; choose {', '.join(TRAININGS)}")
    refuse_unused(config, config.model)
    device = prepare(config)
    train(config, TRAININGS[config.model], device.rank, device.world)


if __name__ == "__main__":
    run(main)
