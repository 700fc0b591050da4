"""The registry: one line for each model. What a model is, its own folder says, in model.py.

Importing this file imports no MindSpore, so that --help can list the models at once.
"""

import pkgutil

from .errors import InputError
from .model import Model

# --model NAME: the module and the Model in it.
REGISTRY = {
    "ctsdg": f"{__package__}.ctsdg.model:CTSDG",
    "dgts": f"{__package__}.dgts.model:DGTS",
    "upsampler": f"{__package__}.dgts.upsampler.model:UPSAMPLER",
}


def model_names() -> tuple[str, ...]:
    return tuple(REGISTRY)


def get_model(name: str) -> Model:
    """Raises InputError if there is none of that name."""
    if name not in REGISTRY:
        raise InputError(f"there is no model {name}; choose one of {', '.join(REGISTRY)}")
    return pkgutil.resolve_name(REGISTRY[name])


def all_models() -> list[Model]:
    return [get_model(name) for name in REGISTRY]
