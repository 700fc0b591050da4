"""What the ranks of a distributed run do together. Rank 0 alone writes; nobody writes before all have read."""

from collections.abc import Mapping

import numpy as np
from mindspore import Tensor, nn, ops

from ..errors import InputError


def check_agreement(iteration: int) -> None:
    """Raises InputError where ranks are about to go on from different iterations. Returns when all have come here."""
    found = ops.AllGather()(Tensor(np.array([iteration], np.int32))).asnumpy().tolist()
    if len(set(found)) > 1:
        raise InputError(f"ranks go on from iterations {found}, this one from {iteration}; give all the same save_path")


def take_values_of_rank_0(networks: Mapping[str, nn.Cell]) -> None:
    """Weights and spectral norms are the same on all ranks, but each has batch statistics of its own images.

    Rank 0's are saved, so they are what every rank goes on with.
    """
    broadcast = ops.Broadcast(0)
    for network in networks.values():
        for parameter in network.get_parameters():
            parameter.set_data(broadcast((parameter.value(),))[0])


def on_any_rank(fact: bool) -> bool:
    """Is it true on this rank or on another? Returns when all have asked."""
    return bool(ops.AllReduce()(Tensor(np.array([fact], np.float32))).asnumpy().any())
