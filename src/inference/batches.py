"""Any number of samples through a network that takes so many at once."""

from collections.abc import Callable, Sequence

import numpy as np

# A network as the rest of inference sees it: its inputs, each (B, …), of the B that it was made for -> its outputs.
Network = Callable[..., Sequence[np.ndarray]]


def run_batches(network: Network, arrays: Sequence[np.ndarray], batch_size: int) -> list[np.ndarray]:
    """Run a network on any number of samples, `batch_size` at a time.

    arrays: its inputs, each (B, …) -> its outputs, each (B, …)
    """
    batches = []
    for first in range(0, len(arrays[0]), batch_size):
        batch = [array[first : first + batch_size] for array in arrays]
        # Every batch has the same shape: an exported file takes no other, and for a cell a graph would be compiled
        # again. Copies of its last sample pad the last batch.
        missing = batch_size - len(batch[0])
        batch = [np.concatenate([array, *[array[-1:]] * missing]) for array in batch]
        batches.append([output[: batch_size - missing] for output in network(*batch)])
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]
