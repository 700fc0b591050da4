"""A training step is one compiled graph, and the host reads nothing of it."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from model_utils.config import load_config
from model_utils.device import prepare
from src.ctsdg.train_step import CTSDGTrainOneStepCell
from src.dgts.train_step import DGTSTrainOneStepCell
from src.dgts.upsampler.train_step import UpsamplerTrainOneStepCell
from tests.command_line import words
from tests.training.conftest import SMALL, TinyTraining

# What brings numbers of a tensor to Python.
READERS = ("asnumpy", "item", "tolist", "__float__", "__int__", "__bool__", "__index__", "__array__")


@pytest.fixture
def make():
    """make(option=value, …): CTSDG's training of two tiny networks, compiled, and a batch."""

    def make(**options):
        config = load_config(words(SMALL | {"mode": "graph", "data_root": "unused"} | options))
        prepare(config)
        model = TinyTraining(config)
        model.start_stage(1)
        rng = np.random.default_rng(0)
        size = 2 * config.gradient_accumulation
        image, mask, edge, gray = (rng.random((size, c, 128, 128), dtype=np.float32) for c in (3, 1, 1, 1))
        return model, tuple(map(Tensor, (2 * image - 1, np.float32(mask > 0.3), np.float32(edge > 0.9), gray)))

    yield make
    ms.set_context(mode=ms.PYNATIVE_MODE)


@pytest.fixture
def reads(monkeypatch):
    """The names of READERS that were called, in order."""
    called = []

    def counted(name, original):
        def reader(*args, **kwargs):
            called.append(name)
            return original(*args, **kwargs)

        return reader

    for name in READERS:
        if hasattr(Tensor, name):
            monkeypatch.setattr(Tensor, name, counted(name, getattr(Tensor, name)))
    return called


@pytest.mark.parametrize(
    "options",
    [{}, {"gradient_accumulation": 2}, {"amp_level": "O2", "clip_grad_norm": 1.0, "ema_decay": 0.9}],
    ids=["plain", "accumulated", "float16, clipped, averaged"],
)
def test_ten_iterations_read_nothing_back(make, reads, options):
    model, batch = make(**options)
    model.step(batch, 0)
    reads.clear()
    losses = [model.step(batch, i)[-2] for i in range(1, 11)]
    assert reads == []
    values = [float(loss.asnumpy()) for loss in losses]
    assert "asnumpy" in reads
    assert len(set(values)) == 10  # the steps were taken


def test_an_iteration_is_one_graph(make, monkeypatch):
    model, batch = make()
    compiled, compile_graph = [], nn.Cell.compile

    def noted(cell, *args, **kwargs):
        compiled.append(type(cell).__name__)
        return compile_graph(cell, *args, **kwargs)

    monkeypatch.setattr(nn.Cell, "compile", noted)
    model.step(batch, 0)
    assert compiled == ["CTSDGTrainOneStepCell"]


def test_training_steps_are_the_cells_that_mindspore_users_know():
    for cell in (CTSDGTrainOneStepCell, DGTSTrainOneStepCell, UpsamplerTrainOneStepCell):
        assert issubclass(cell, nn.TrainOneStepCell)
