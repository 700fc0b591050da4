"""Where a run computes: back end, card, rank, execution mode, seeds. Read in this one place, passed on as a value."""

import os
import random
from dataclasses import dataclass
from pathlib import Path

import src  # noqa: F401  sets the environment that MindSpore reads when it is imported
from model_utils.config import Config
from src.errors import InputError

NEEDED = {"GPU": "an NVIDIA driver and the CUDA and cuDNN it was built for", "Ascend": "the Ascend driver and CANN"}
CLUSTER = ("MS_WORKER_NUM", "MS_ROLE", "MS_SCHED_HOST", "MS_SCHED_PORT")  # that each of its processes is given


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

    Under msrun, mpirun, or in a dynamic cluster that was started by hand, it joins the other processes (and does not
    return in the cluster's scheduler, which runs the same script).
    Every rank has the same seeds, hence the same initial weights; what must differ between ranks has to use `rank`.
    """
    import mindspore as ms  # which writes mpirun's numbers into RANK_SIZE and DEVICE_ID

    joins = is_one_of_several()
    # msrun numbers the cards of a host in DEVICE_ID; an option could not, for it is the same for every process.
    device_id = int(os.environ.get("DEVICE_ID", config.device_id)) if joins else config.device_id

    compiled = config.mode == "graph" and not (few_runs and config.device_target == "CPU" and not config.given("mode"))
    ms.set_context(mode=ms.GRAPH_MODE if compiled else ms.PYNATIVE_MODE)
    set_device(config.device_target, device_id)
    set_switches(config)
    random.seed(config.seed)
    ms.set_seed(config.seed)  # NumPy's seed included

    if not joins:
        return Device(config.device_target)
    from mindspore import communication

    communication.init()
    # Without it nn.TrainOneStepCell leaves each rank alone with its own gradients.
    ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True)
    return Device(config.device_target, communication.get_rank(), communication.get_group_size())


def is_one_of_several() -> bool:
    """Is this process part of a job? msrun and mpirun say so in RANK_SIZE, who starts a cluster by hand in CLUSTER.

    Raises InputError for a cluster that is described by half: each of its processes would compute alone.
    """
    given = [name for name in CLUSTER if os.environ.get(name)]
    ranks = os.environ.get("RANK_SIZE") or os.environ.get("MS_WORKER_NUM") or "1"
    if not ranks.isdecimal() or int(ranks) == 0:
        raise InputError(f"RANK_SIZE or MS_WORKER_NUM {ranks!r}: expected the number of processes of the job")
    joins = int(ranks) > 1 or "MS_ROLE" in given
    if joins and "RANK_SIZE" not in os.environ and len(given) < len(CLUSTER):
        missing = ", ".join(name for name in CLUSTER if name not in given)
        raise InputError(
            f"{', '.join(given)} without {missing}: a process of a dynamic cluster needs all of them; "
            "scripts/run_distribute_train_*.sh set them"
        )
    return joins


def set_switches(config: Config) -> None:
    """What trades exactness for speed, or speed for exactness. Raises InputError for what the device does not have."""
    import mindspore as ms

    for name, default in {"conv_search": False, "matmul_tf32": False, "format_transform": True}.items():
        value = getattr(config, name)
        if value != default and config.device_target != "GPU":
            raise InputError(f"--{name} {str(value).lower()}: only --device_target GPU has this switch; leave it out")
    if config.conv_search and config.deterministic:
        raise InputError("--conv_search true: it may find algorithms that --deterministic true forbids; leave one out")
    if config.jit_level and config.mode == "pynative":
        raise InputError(f"--jit_level {config.jit_level}: --mode pynative compiles nothing; leave one out")
    if config.deterministic:
        ms.set_deterministic(True)
    if config.jit_level:
        ms.set_context(jit_config={"jit_level": config.jit_level})
    if config.device_target == "GPU":
        gpu = ms.device_context.gpu
        if config.conv_search:
            for set_algorithm in (
                gpu.op_tuning.conv_fprop_algo,
                gpu.op_tuning.conv_dgrad_algo,
                gpu.op_tuning.conv_wgrad_algo,
            ):
                set_algorithm("performance")
        if config.matmul_tf32:
            gpu.op_precision.matmul_allow_tf32(True)
        if not config.format_transform:
            ms.set_context(disable_format_transform=True)


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
        # and filling an image takes two to five times as long.
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
