"""What tests share: tensors to image (`rand`), MindSpore's two ways to run (`mode`), a small network's files."""

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import src  # noqa: F401  sets the environment that MindSpore reads when it is imported

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def device() -> None:
    """Chosen before anything is computed: MindSpore lets nobody choose later, an entry point included."""
    from model_utils.device import set_device

    target = os.environ.get("TEST_DEVICE", "CPU")
    if target == "GPU":
        import mindspore as ms

        ms.device_context.gpu.op_precision.conv_allow_tf32(False)  # it rounds to 1e-3, tests compare to 1e-5
    set_device(target, 0)


@pytest.fixture(scope="module")
def memory() -> Iterator[None]:
    """For one file at a time: processes that share the tests (pytest-xdist) must not train at full size all at once."""
    with open(Path(tempfile.gettempdir(), f"inpainting-tests-{os.getuid()}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def rand() -> Callable:
    """rand(2, 3, 8, 8): a float32 tensor of normal numbers; the same in every run, another at every call."""
    import mindspore as ms

    generator = np.random.default_rng(0)
    return lambda *shape: ms.Tensor(generator.standard_normal(shape).astype(np.float32))


@pytest.fixture(params=["graph", "pynative"])
def mode(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test runs twice: compiled as a graph, and operator by operator."""
    import mindspore as ms

    ms.set_context(mode={"graph": ms.GRAPH_MODE, "pynative": ms.PYNATIVE_MODE}[request.param])
    yield request.param
    ms.set_context(mode=ms.PYNATIVE_MODE)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of a CTSDG 2 % as wide as the published one, whose weights make its outputs vary."""
    from src.checkpoint import save_network
    from src.ctsdg import Discriminator, Generator
    from src.models import get_model

    folder = tmp_path_factory.mktemp("run") / "checkpoints" / "0000012"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for network in (Generator(width=0.02), Discriminator(width=0.02)):
        arrays = {name: p.asnumpy() for name, p in network.parameters_and_names()}
        for name, array in arrays.items():
            if array.ndim > 1:
                fan_in = np.prod(array.shape[1:])
                arrays[name] = (rng.standard_normal(array.shape) * (2 / fan_in) ** 0.5).astype(np.float32)
        name = type(network).__name__.lower()
        info = get_model("ctsdg").info(name, width=0.02, image_size=128, edge_mode="clean", sigma=1.5, iteration=12)
        save_network(folder / f"{name}.ckpt", arrays, info)
    (folder.parent / "last").write_text("0000012\n")
    return folder


@pytest.fixture(scope="session")
def mindir(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same network, exported for two images at once. In a process of its own: see largest_difference."""
    path = tmp_path_factory.mktemp("exported") / "small.mindir"
    command = [sys.executable, ROOT / "export.py", "--checkpoint_path", checkpoint, "--output_path", path]
    subprocess.run([*command, "--export_batch_size", "2"], check=True)
    return path
