"""Which form of a layer serves the device: the one place that asks for it.

MindSpore's CPU back end runs some operators, and above all their gradients, slowly or with large buffers. `cpu/` has
other forms of these, with the same results up to rounding. Every other device gets MindSpore's own operators.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import mindspore as ms
from mindspore import nn, ops

_plain = False


@ops.constexpr(reuse_result=False)  # in a graph, a constant
def on_cpu() -> bool:
    """Do layers take the forms in `cpu/`? Cells ask when they are made, functions when they are called or compiled."""
    return not _plain and ms.get_context("device_target") == "CPU"


@contextmanager
def plain_layers() -> Iterator[None]:
    """Within it a CPU runs what other devices do: networks made and called here have MindSpore's own operators."""
    global _plain
    before, _plain = _plain, True
    try:
        yield
    finally:
        _plain = before


def by_device(for_cpu: Callable[..., nn.Cell], plain: Callable) -> Callable:
    """A constructor of two forms of one layer: it takes the arguments of both, and makes the one for the device."""

    def make(*args: object, **kwargs: object) -> Callable:
        return (for_cpu if on_cpu() else plain)(*args, **kwargs)

    return make
