"""What the ranks of a distributed run do together. Rank 0 alone writes; nobody writes before all have read."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout

import numpy as np
from mindspore import Tensor, nn, ops

from ..errors import InputError

# Rank 0 tells so often that it is still at work: on a CPU, MindSpore 2.10 gives a rank up that waits for 30 s.
STILL_RUNNING = 5.0


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


def largest_of_ranks(values: Sequence[float]) -> list[float]:
    """The largest of each value over all ranks. Returns when all have asked."""
    gathered = ops.AllGather()(Tensor(np.array([values], np.float32))).asnumpy()  # (ranks, values)
    return gathered.max(axis=0).tolist()


def checked_by_rank_0(check: Callable[[], None], rank: int) -> None:
    """Rank 0 alone runs the check; the InputError that it raises is raised on every rank."""
    with ThreadPoolExecutor(1) as pool:
        running, verdict = pool.submit(check) if rank == 0 else None, None
        while verdict is None:
            verdict = _of_rank_0(_verdict(running) if running else None)
    if verdict:
        raise InputError(verdict.decode("utf-8", "surrogateescape"))


def _verdict(running: Future) -> bytes | None:
    """What is wrong, nothing if all is well, or None if that is not known after STILL_RUNNING seconds."""
    try:
        running.result(STILL_RUNNING)
    except FutureTimeout:  # Python 3.10 has another TimeoutError
        return None
    except InputError as error:
        return str(error).encode("utf-8", "surrogateescape")
    return b""


def _of_rank_0(text: bytes | None) -> bytes | None:
    """What rank 0 gives, on every rank."""
    broadcast = ops.Broadcast(0)
    length = -1 if text is None else len(text)
    length = int(broadcast((Tensor(np.array([length], np.int32)),))[0].asnumpy()[0])
    if length <= 0:
        return None if length < 0 else b""
    codes = list(text) if text else [0] * length
    return bytes(broadcast((Tensor(np.array(codes, np.int32)),))[0].asnumpy().astype(np.uint8))
