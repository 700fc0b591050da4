"""What a model is to the rest of the program; each model's folder says it in model.py. Needs no MindSpore."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .network_info import NetworkInfo, Setting, TensorInfo

if TYPE_CHECKING:
    import numpy as np
    from mindspore import nn


class ExportPart(NamedTuple):
    """A network within the one that inpaints, which export.py can write as a file of its own."""

    suffix: str  # behind the name of --output_path
    cell: "nn.Cell"
    info: NetworkInfo
    inputs: Sequence[TensorInfo]
    outputs: Sequence[TensorInfo]
    # From the arrays there are, by name (the inputs of the whole, the outputs of earlier parts), those of this part.
    prepare: Callable[[Mapping[str, "np.ndarray"]], Mapping[str, "np.ndarray"]]


@dataclass(frozen=True)
class Model:
    """All that the rest of the program asks of a model. What is left empty, it cannot do.

    A file of the model's weights remembers `settings`: options, by name, here with the published network's values.
    """

    name: str
    settings: Mapping[str, Setting]
    network: Callable[[NetworkInfo], "nn.Cell"]  # from settings to a constructor: initial weights; the hub gives it
    architecture: Sequence[str] = ()  # settings without which the weights do not fit, or mean nothing
    run_settings: Sequence[str] = ()  # settings that only say how to run the network: the user's replace the file's

    training: str = ""  # "module:class", a src.training.model_training.ModelTraining

    # Inpainting: from the network of generator.ckpt with its weights, that file (a src.checkpoint.NetworkFile), and
    # those of `build_options` that were given: the cell, (B, …) inputs -> composite (B, 3, S, S).
    build: Callable[..., "nn.Cell"] | None = None
    build_options: Sequence[str] = ()
    inputs: Sequence[TensorInfo] = ()

    # Export: the part of example images that is hole, from and to; networks within the one that inpaints.
    example_holes: Sequence[tuple[float, float]] = ((0.2, 0.4),)
    parts: Callable[["nn.Cell", NetworkInfo], Sequence[ExportPart]] | None = None

    def info(self, network: str, iteration: int = 0, batches_tracked: int = 0, **settings: Setting) -> NetworkInfo:
        """What a file of this model says; settings that are not given are the published network's."""
        return NetworkInfo(self.name, network, {**self.settings, **settings}, iteration, batches_tracked)
