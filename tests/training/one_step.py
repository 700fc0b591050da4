"""One iteration of CTSDG's training, written to FOLDER/RANK.npz: one_step.py FOLDER [--option value ...]

What test_distributed.py starts, alone and with msrun; ranks then also do what src/training/ranks.py has for them. Batch
norms use their running statistics: with those of a batch, two ranks of two images are not one of four.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from model_utils.config import load_config
from model_utils.device import prepare
from src.errors import InputError


def main(folder: Path, words: list[str]) -> None:
    config = load_config(words)
    device = prepare(config)
    from mindspore import nn

    from src.ctsdg.training import CTSDGTraining
    from src.data.dataset import build_training_dataset, iterate
    from src.training.ranks import check_agreement, take_values_of_rank_0
    from src.training.trainer import training_samples

    model = CTSDGTraining(config)
    model.start_stage(1)
    for network in model.networks.values():
        for _, cell in network.cells_and_names():
            if isinstance(cell, nn.BatchNorm2d):
                cell.set_train(False)
    samples = training_samples(config, True)
    arrays = {f"before.{key}": array for key, array in values(model).items()}
    dataset = build_training_dataset(samples, 0, 1, config.batch_size, device.rank, device.world)
    for batch in iterate(dataset):
        arrays |= {f"batch.{i}": tensor.asnumpy() for i, tensor in enumerate(batch)}
        model.step(batch, 0)
    arrays |= {f"after.{key}": array for key, array in values(model).items()}
    arrays |= {name: p.asnumpy() for name, p in model.state().items()}
    if device.world > 1:
        for network in model.networks.values():
            for parameter in network.get_parameters():
                parameter.set_data(parameter + device.rank)
        take_values_of_rank_0(model.networks)
        arrays |= {f"taken.{key}": array for key, array in values(model).items()}
        check_agreement(7)
        try:
            check_agreement(device.rank)
        except InputError as error:
            arrays["disagreement"] = str(error)
    np.savez(folder / f"{device.rank}.npz", **arrays)


def values(model) -> dict[str, np.ndarray]:
    networks = model.networks.items()
    return {
        f"{name}.{key}": p.asnumpy().copy() for name, network in networks for key, p in network.parameters_and_names()
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
