"""Any number of samples through a network that takes so many at once."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..network_info import NetworkInfo

# A network as the rest of inference sees it: its inputs, each (B, …), of the B that it was made for -> its outputs.
Network = Callable[..., Sequence[np.ndarray]]


class RunnableNetwork(NamedTuple):
    """A network that fills holes, from a file of any kind, with what one has to know to run it."""

    run: Network
    info: NetworkInfo
    batch_size: int
    inputs: tuple[str, ...]  # names, in the order that it takes them
    fixed: bool = True  # it takes batches of that size alone


def run_batches(
    network: Network, arrays: Sequence[np.ndarray], batch_size: int, fixed: bool = True
) -> list[np.ndarray]:
    """Run a network on any number of samples, `batch_size` at a time.

    arrays: its inputs, each (B, …) -> its outputs, each (B, …)
    fixed: every batch has the same shape, as an exported file takes no other, and for a compiled cell a graph would be
    compiled again
    """
    batches = []
    for first in range(0, len(arrays[0]), batch_size):
        batch = [array[first : first + batch_size] for array in arrays]
        missing = (batch_size - len(batch[0])) * fixed  # samples of the last batch, which is padded with its last one
        batch = [np.concatenate([array, *[array[-1:]] * missing]) for array in batch]
        batches.append([output[: len(output) - missing] for output in network(*batch)])
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]
