"""What classes of src get where a test says nothing else: the defaults of default_config.yaml."""

from dataclasses import MISSING, fields
from typing import TypeVar

from model_utils.config import load_config

T = TypeVar("T")


def with_defaults(kind: type[T], *args: object, **given: object) -> T:
    """A dataclass whose fields are as given, or as the options of their names are by default."""
    options = load_config([]).as_dict()
    needed = [field.name for field in fields(kind)[len(args) :] if field.default is MISSING]
    return kind(*args, **{name: options[name] for name in needed if name in options} | given)


def loss_weights(kind: type[T], model: str, **given: float) -> T:
    """The weights of a model's losses as given, or as published."""
    config = load_config(["--model", model])
    return kind(**{field.name: getattr(config, f"{field.name}_loss_w") for field in fields(kind)} | given)
