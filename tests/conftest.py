"""What tests share: tensors to picture (`rand`) and MindSpore's two ways to run (`mode`)."""

import os
from collections.abc import Callable, Iterator

os.environ.setdefault("GLOG_v", "3")  # as model_utils/device.py does; before MindSpore is imported

import numpy as np
import pytest

import src  # noqa: F401  the rest of the environment that MindSpore reads when it is imported


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
