"""What a network's file says of itself and of its inputs, whichever kind of file it is. Needs no MindSpore."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from .errors import InputError


class TensorInfo(NamedTuple):
    """An input or output of an exported network, for someone who has nothing but the file."""

    name: str
    range: tuple[float, float] | None
    meaning: str


# What src/data makes of an image and its mask: a model's inputs are some of these, by their names.
IMAGE = TensorInfo("image", (-1, 1), "RGB, value / 127.5 - 1")
MASK = TensorInfo("mask", (0, 1), "1 where the image is known, 0 in the hole")
EDGE = TensorInfo("edge", (0, 1), "1 on the edges of the gray image (Canny, Gaussian of sigma pixels), 0 elsewhere")
GRAY = TensorInfo(
    "gray", (0, 1), "luminance of the image (edge_mode clean), or of trunc(255 * image) modulo 256 (published)"
)
COMPOSITE = TensorInfo("composite", (-1, 1), "image where mask is 1, the filling where it is 0")


Setting = str | float | int | bool

# What a NetworkInfo holds beside settings.
RECORD = {"model": str, "network": str, "iteration": int, "batches_tracked": int}


@dataclass(frozen=True)
class NetworkInfo:
    """What a network file says of itself: whose network it is, the settings that using it right depends on, a record.

    `info.width` is the setting of that name.
    """

    model: str
    network: str  # "generator", "discriminator", …
    settings: Mapping[str, Setting] = field(default_factory=dict, hash=False)
    iteration: int = 0
    batches_tracked: int = 0  # training batches its batch norms have seen: PyTorch's num_batches_tracked

    def __getattr__(self, name: str) -> Any:  # of the type that the model's setting has
        settings = vars(self).get("settings", {})
        if name not in settings:
            raise AttributeError(f"{self.model} has no setting {name}")
        return settings[name]

    def with_settings(self, **settings: Setting) -> "NetworkInfo":
        return replace(self, settings={**self.settings, **settings})

    @classmethod
    def of(cls, facts: Mapping[str, Any], kinds: Mapping[str, type]) -> "NetworkInfo":
        """The inverse of `facts`. kinds: types of settings, which may be missing.

        Raises ValueError for a value of another type.
        """
        for name, kind in {**RECORD, **kinds}.items():
            value = facts.get(name, kind())
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise ValueError(f"its network's {name} is {value!r}, which cannot be")
        record = {name: value for name, value in facts.items() if name in RECORD}
        return cls(**record, settings={name: value for name, value in facts.items() if name not in RECORD})

    def facts(self) -> dict[str, Setting]:
        """All of it by name. Networks that only serve in training have no settings, and nothing is recorded of them."""
        facts = {"model": self.model, "network": self.network, **self.settings}
        if self.settings:
            facts["iteration"] = self.iteration
        if self.batches_tracked:
            facts["batches_tracked"] = self.batches_tracked
        return facts


def check_settings(path: Path, info: NetworkInfo, chosen: Mapping[str, object]) -> None:
    """Raises InputError where the user asked for something else than the file holds."""
    facts = info.facts()
    for name, value in chosen.items():
        if name in facts and facts[name] != value:
            raise InputError(
                f"{path} has {name} {facts[name]}, not {value}: leave --{name} out, or give another checkpoint"
            )
