"""Train an inpainting network: python train.py --data_root IMAGES --save_path RUN [--option value ...]

Writes checkpoints/, samples/, metrics.csv, config.yaml and losses.png under --save_path.
Without --train_masks_root, masks are drawn. Stage 1 runs --train_iter iterations, stage 2 --finetune_iter.
"""

import pkgutil

from model_utils.config import Config, refuse_unused
from model_utils.entry import DEVICE_GROUPS, NETWORK_GROUPS, require, run
from src.errors import InputError

OPTION_GROUPS = (
    *DEVICE_GROUPS,
    *NETWORK_GROUPS,
    "Overwriting",
    "Images",
    "Masks",
    "Training samples",
    "Training",
    "Losses and their weights",
    "Logging and checkpoints",
)


def main(config: Config) -> None:
    require(config, "data_root", "save_path")
    from model_utils.device import prepare
    from src.models import all_models, get_model
    from src.training.trainer import Trainer

    model = get_model(config.model)
    if model.training is None:
        trained = ", ".join(model.name for model in all_models() if model.training)
        raise InputError(f"--model {config.model} cannot be trained; choose {trained}")
    refuse_unused(config, config.model)
    device = prepare(config)
    Trainer(config, pkgutil.resolve_name(model.training), device.rank, device.world).train()


if __name__ == "__main__":
    run(main)
