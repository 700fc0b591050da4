"""python -m tests.dgts.two_iterations CHECKPOINT VGG19 OUTPUT.npz: the upsampler's training, two iterations of it.

In a process of its own, for it needs 12 GB of memory, which MindSpore keeps as long as the process lives.
"""

import sys

import numpy as np

from tests.dgts.conftest import DATA


def main(checkpoint: str, vgg19: str, output: str) -> None:
    from model_utils.config import load_config
    from model_utils.device import prepare
    from src.dgts.upsampler.network import masked_input
    from src.dgts.upsampler.training import UpsamplerTraining
    from tests.command_line import words

    config = load_config(words({"model": "upsampler", "pretrained_vgg": vgg19}))
    prepare(config)
    from mindspore import Tensor

    recorded = np.load(DATA / "upsampler_training.npz")
    image, low, mask = (Tensor(x) for x in (recorded["image"], recorded["low"], 1 - recorded["masked"][:, 3:]))
    np.testing.assert_array_equal(masked_input(image, mask).asnumpy(), recorded["masked"])
    model = UpsamplerTraining(config)
    model.load(checkpoint)
    model.small_images = lambda *_: low
    model.start_stage(1)

    results = {}
    for iteration in (1, 2):
        losses = [float(loss) for loss in model.step((image, mask), iteration - 1)]
        results[f"losses{iteration}"] = np.array(losses)
        if iteration == 1:  # without momentum the first moments are the gradients
            optimizer = model.optimizers["upsampler"]
            names = {parameter.name: name for name, parameter in model.networks["upsampler"].parameters_and_names()}
            for parameter, moment in zip(optimizer.parameters, optimizer.moments1, strict=True):
                results[f"gradients/{names[parameter.name]}"] = moment.asnumpy().copy()
    for network, cell in model.networks.items():
        results |= {f"{network}/{name}": parameter.asnumpy() for name, parameter in cell.parameters_and_names()}
    np.savez(output, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
