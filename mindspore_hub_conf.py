"""The networks by name, for MindSpore Hub.

  network = create_network(MODEL, width=0.25)
  mindspore.load_checkpoint("generator.ckpt", network, strict_load=True)

A network as it is trained, with initial weights. To fill holes in images, see src/inference/inpainter.py.
"""

from typing import TYPE_CHECKING, Any

import src  # noqa: F401  sets the environment that MindSpore reads when it is imported
from src.errors import InputError
from src.models import get_model

if TYPE_CHECKING:
    from mindspore import nn


def create_network(name: str, *args: object, **kwargs: Any) -> "nn.Cell":
    """name: of a model in src/models.py that is trained; kwargs: its settings; those left out are as published.

    Raises InputError for a name or a setting that there is not.
    """
    model = get_model(name)
    unknown = [*map(str, args), *(key for key in kwargs if key not in model.settings)]
    if unknown:
        raise InputError(f"{name} has no setting {unknown[0]}; there are {', '.join(model.settings)}, given by name")
    return model.network(model.info(name, **kwargs))
