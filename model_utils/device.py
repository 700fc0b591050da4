"""Where a run computes: back end, card, rank, execution mode, seeds. Read in this one place, passed on as a value."""

import os
import random
from dataclasses import dataclass
from pathlib import Path

import src  # noqa: F401  sets the environment that MindSpore reads when it is imported
from model_utils.config import Config
from src.errors import InputError

NEEDED = {"GPU": "an NVIDIA driver and the CUDA and cuDNN it was built for", "Ascend": "the Ascend driver and CANN"}


@dataclass(frozen=True)
class Device:
    """This process among all: `rank` of `world`, on a card of kind `target`."""

    target: str
    rank: int = 0
    world: int = 1


def prepare(config: Config, few_runs: bool = False) -> Device:
    """Set MindSpore up as the options say. Call it first, before anything is computed or written.

    few_runs: the network runs so few times that compiling it would take longer; on a CPU, then, only a mode that was
    given compiles.

    Under msrun it joins the other processes (and does not return in msrun's scheduler, which runs the same script).
    Every rank has the same seeds, hence the same initial weights; what must differ between ranks has to use `rank`.
    """
    import mindspore as ms

    world = int(os.environ.get("RANK_SIZE", "1"))
    # msrun numbers the cards of a host in DEVICE_ID; an option could not, for it is the same for every process.
    device_id = int(os.environ.get("DEVICE_ID", "0")) if world > 1 else config.device_id

    compiled = config.mode == "graph" and not (few_runs and config.device_target == "CPU" and not config.given("mode"))
    ms.set_context(mode=ms.GRAPH_MODE if compiled else ms.PYNATIVE_MODE)
    set_device(config.device_target, device_id)
    random.seed(config.seed)
    ms.set_seed(config.seed)  # NumPy's seed included

    if world == 1:
        return Device(config.device_target)
    from mindspore import communication

    communication.init()
    # Without it nn.TrainOneStepCell leaves each rank alone with its own gradients.
    ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True)
    return Device(config.device_target, communication.get_rank(), communication.get_group_size())


def runs_without_mindspore(path: str | Path, device_target: str) -> bool:
    """Is the network of `path` an ONNX file? Raises InputError if it is to run elsewhere than on the CPU."""
    if Path(path).suffix != ".onnx":
        return False
    if device_target != "CPU":
        raise InputError(f"--device_target {device_target}: {path} runs on the CPU; give a checkpoint")
    return True


def set_device(target: str, device_id: int) -> None:
    """Choose the card, or say in one line why it cannot be had."""
    import mindspore as ms

    if target == "CPU":
        ms.set_device("CPU")
        # Operator by operator, MindSpore's threads otherwise outnumber two cores and wait for each other without sleep,
        # and filling a picture takes two to five times as long.
        ms.runtime.launch_blocking()
        return
    backend = {"GPU": ms.device_context.gpu, "Ascend": ms.device_context.ascend}[target]
    on_cpu = "--device_target CPU runs without one"
    if not backend.is_available():
        raise InputError(
            f"--device_target {target}: MindSpore {ms.__version__} found none here "
            f"(it needs {NEEDED[target]}); {on_cpu}"
        )
    try:
        count = backend.device_count()
        if device_id < count:
            ms.set_device(target, device_id)
    except RuntimeError as error:
        raise InputError(f"--device_target {target}: {str(error).splitlines()[0]}; {on_cpu}") from None
    if device_id >= count:
        raise InputError(f"--device_id {device_id}: there are {count} {target} devices, counted from 0; {on_cpu}")
