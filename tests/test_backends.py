"""Do the graphs that GPU and Ascend compile ask for anything that they lack, or that Ascend leaves to a slow processor?

A lint, as good as can be had without the hardware: it reads what MindSpore's documentation claims of each primitive,
and which of them MindSpore's wheel has for Ascend's AICPU, a few ARM cores beside the AI Cores.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import mindspore
import pytest
from mindspore import ops
from mindspore.ops import auto_generate
from mindspore.train.mind_ir_pb2 import ModelProto, TensorProto

ROOT = Path(__file__).parents[1]
PLATFORMS = {"Ascend", "GPU", "CPU"}

# Nodes of the graph itself, for which no device computes anything.
STRUCTURE = {
    "Constant": "a value",
    "Depend": "order of computation",
    "Load": "reads a parameter",
    "MakeTuple": "several values as one",
    "Partial": "a branch or a loop's body with its inputs",
    "Switch": "chooses a branch",
    "TensorMove": "a parameter's value before it changes",
    "TupleGetItem": "one value of several",
    "UpdateState": "order of side effects",
}

# Primitives without documentation, and the documented function whose primitive they become on every device that has no
# kernel of theirs: MindSpore's expander does it before it looks for kernels, and its CPU back end relies on it too
# (MS_DEV_EXPANDER_FALLBACK=off makes each of them fail there).
EXPANDED = {
    "Divs": "div",  # Muls and Divs: a tensor and a number
    "EqScalar": "equal",
    "InplaceAddExt": "add",  # a += b
    "LessScalar": "less",
    "MatMulExt": "matmul",
    "Max": "max",
    "Muls": "mul",
    "SplitWithSize": "split",
    "ZerosLikeExt": "zeros_like",  # documented for Ascend alone, as a function of its own
}

# Gradients have no documentation of their own: an operator's claim covers its gradient.
GRADIENTS = {
    "AvgPool3DGrad": "AvgPool3D",
    "BatchNormGrad": "BatchNorm",
    "BiasAddGrad": "BiasAdd",
    "Conv2DBackpropFilter": "Conv2D",
    "Conv2DBackpropInput": "Conv2D",
    "LayerNormGrad": "LayerNorm",
    "MaxPoolGrad": "MaxPool",
    "MirrorPadGrad": "MirrorPad",
    "ReluGrad": "ReLU",
    "ResizeBilinearGrad": "ResizeBilinearV2",
    "ResizeNearestNeighborV2Grad": "ResizeNearestNeighborV2",
    "RsqrtGrad": "Rsqrt",
    "SigmoidGrad": "Sigmoid",
    "SoftmaxBackward": "Softmax",
    "SqrtGrad": "Sqrt",
    "StridedSliceGrad": "StridedSlice",
    "TanhGrad": "Tanh",
}


AICPU_KERNELS = Path(mindspore.__file__).parent / "lib/plugin/ascend/custom_aicpu_ops/op_impl/cpu/config"
AICPU_LIST = AICPU_KERNELS / "cust_aicpu_kernel.json"

# Primitives on that list that run elsewhere, and why: CANN prefers its kernels for the AI Core.
ALLOWED_AICPU = dict.fromkeys(
    (
        *("AddN", "ArgMaxWithValue", "Argmax", "BiasAdd", "BiasAddGrad", "BroadcastTo", "Concat", "Div", "Expm1"),
        *("GatherNd", "LessEqual", "Log", "Mul", "Reciprocal", "ReduceMean", "ScatterNd", "Select", "Slice", "Split"),
        *("Tanh", "TensorScatterUpdate", "Tile"),
    ),
    "MindSpore's own list of kernels for the AI Core, ops/_op_impl/tbe of version 2.0, has it",
) | dict.fromkeys(("Eye", "Tril"), "MindSpore calls CANN's aclnnEye and aclnnTril; and it is one small matrix")


def platforms(primitive: str) -> set[str]:
    """The back ends that MindSpore's documentation claims for a primitive, perhaps where it refers to."""
    name = (EXPANDED | GRADIENTS).get(primitive, primitive)
    seen = set()
    while name not in seen:
        seen.add(name)
        text = getattr(ops, name, getattr(auto_generate, name, None)).__doc__ or ""
        if claim := re.search(r"Supported Platforms:\s+(.+)", text):
            return set(re.findall(r"``(\w+)``", claim[1]))
        if reference := re.search(r"Refer to :func:`mindspore\.ops\.(\w+)`", text):
            name = reference[1]
    return set()


def missing_claims(model: ModelProto) -> dict[str, list[str]]:
    """By primitive, the back ends that its documentation does not claim."""
    used = sorted(primitives(model) - set(STRUCTURE))
    return {name: sorted(PLATFORMS - platforms(name)) for name in used if platforms(name) != PLATFORMS}


def read(path: Path) -> ModelProto:
    model = ModelProto()
    model.ParseFromString(path.read_bytes())
    return model


def primitives(model: ModelProto) -> set[str]:
    return {primitive.op_type for primitive in model.primitives}


def on_aicpu(primitives: set[str]) -> set[str]:
    """Those that Ascend runs on the AICPU alone. CANN writes some names in other letters: Im2col."""
    if not AICPU_LIST.exists():
        pytest.skip(f"this MindSpore has no {AICPU_LIST.name}")
    listed = {name.lower() for name in json.loads(AICPU_LIST.read_text())}
    return {name for name in primitives - set(ALLOWED_AICPU) if name.lower() in listed}


def tensors(model: ModelProto) -> list[TensorProto]:
    """Parameters, inputs, outputs and what lies between them."""
    found = []
    for graph in (model.graph, *model.functions):
        found += graph.parameter
        found += [tensor for value in (*graph.input, *graph.output) for tensor in value.tensor]
        found += [tensor for node in graph.node for attribute in node.attribute for tensor in attribute.tensors]
    return found


# What is exported in a process of its own (a cell exported here must not meet a loaded graph), narrow, to `path`.
PREFACE = """
import contextlib
import src, numpy as np, mindspore as ms
from mindspore import Tensor, nn, ops
from src.layers.backend import plain_layers
from src.training.train_step import TrainOneStepCell

def images(batch, size):
    return (Tensor(np.ones((batch, channels, size, size), np.float32)) for channels in (3, 1))

def export(cell, *inputs):
    ms.export(cell, *inputs, file_name=path, file_format="MINDIR")
"""

CTSDG = """
from src.ctsdg import Generator
from src.ctsdg.inpainting import Inpainting

image, mask = images(1, 128)
export(Inpainting(Generator(width=0.02)), image, mask, mask, mask)
"""

# A training step with all that may be part of one, through layers that have forms of their own on a CPU: CTSDG's
# attention, the pool of DGTS's backbone, dropout.
PARTS = """
from src.ctsdg.cfa import RegionAffinityLearning
from src.layers.dropout import Dropout
from src.layers.pool import MaxPool
from src.training.adamw import AdamW
from src.training.average import Average
from src.training.loss_scale import LossScale

class Parts(nn.Cell):
    def __init__(self):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 3, 3), MaxPool(3, 2, padding=1)
        self.attention, self.dropout = RegionAffinityLearning(), Dropout(0.1)

    def construct(self, image, key):
        return self.dropout(self.attention(self.pool(ops.relu(self.conv(image)))), key).sum()

parts = Parts().set_train()
ms.set_context(mode=ms.GRAPH_MODE)
optimizer, options = AdamW(parts.trainable_params(), 1e-4), {"average": Average(parts, 0.9), "loss_scale": LossScale()}
step = TrainOneStepCell(parts, optimizer, has_aux=False, name="parts", clip=1.0, **options)
export(step, next(images(1, 64)), Tensor(1, ms.int32))
"""

DGTS = """
from src.dgts.upsampler.fused import fuse
from src.dgts.generator import Generator
from src.dgts.inpainting import Inpainting
from src.dgts.upsampler.network import Upsampler

export(Inpainting(Generator(width=0.125), fuse(Upsampler(width=0.125)), 256), *images(2, 256))
"""

# Weights of the VGGs, which do not matter here, are drawn.
CTSDG_TRAINING = """
from src.ctsdg import Discriminator, Generator
from src.ctsdg.loss import DiscriminatorLoss, GeneratorLoss, LossWeights
from src.losses.perceptual import VGG16Features

ms.set_context(mode=ms.GRAPH_MODE)
generator, discriminator = Generator(width=0.02), Discriminator(width=0.02)
image, mask = images(1, 128)
"""

CTSDG_GENERATOR = """
loss = GeneratorLoss(generator, discriminator, VGG16Features(), LossWeights(60, 10, 0.1, 250, 0.1, 1), "l1", 50)
step = TrainOneStepCell(loss.set_train(), nn.Adam(generator.trainable_params()))
export(step.gradients, image, mask, mask, mask)
"""

CTSDG_DISCRIMINATOR = """
optimizer = nn.Adam(discriminator.trainable_params())
export(nn.TrainOneStepCell(DiscriminatorLoss(discriminator), optimizer).set_train(), image, image, mask, mask)
"""

DGTS_GENERATOR = """
from src.dgts.generator import Generator
from src.dgts.loss import VGG_TAPS, GeneratorLoss, LossWeights
from src.losses.perceptual import VGG19Features
from src.dgts.training import make_optimizer

ms.set_context(mode=ms.GRAPH_MODE)
generator = Generator(width=0.02, image_size=128)
loss = GeneratorLoss(generator, VGG19Features(VGG_TAPS), LossWeights(10, 0.1, 250))
step = TrainOneStepCell(loss.set_train(), make_optimizer(generator, 1e-4, 1e-5, 1e-4))
export(step.gradients, *images(1, 128), Tensor(1, ms.int32))
"""

UPSAMPLER_TRAINING = """
from src.dgts.upsampler.discriminator import Discriminator
from src.dgts.upsampler.network import Upsampler
from src.dgts.upsampler.loss import VGG_TAPS, DiscriminatorLoss, UpsamplerLoss, UpsamplerLossWeights
from src.losses.perceptual import VGG19Features
from src.training.adamw import AdamW

ms.set_context(mode=ms.GRAPH_MODE)
upsampler, discriminator = Upsampler(width=0.02), Discriminator(width=0.02)
image, mask = images(2, 128)
low = Tensor(np.ones((2, 3, 16, 16), np.float32))
"""

UPSAMPLER = """
loss = UpsamplerLoss(upsampler, discriminator, VGG19Features(VGG_TAPS), UpsamplerLossWeights(1, 2, 0.001, 6, 1))
step = TrainOneStepCell(loss.set_train(), AdamW(upsampler.trainable_params(), 1e-4))
export(step.gradients, image, mask, low)
"""

UPSAMPLER_DISCRIMINATOR = """
optimizer = AdamW(discriminator.trainable_params(), 1e-4)
export(nn.TrainOneStepCell(DiscriminatorLoss(upsampler, discriminator), optimizer).set_train(), image, mask, low)
"""

SLOW = {
    "ctsdg": CTSDG,
    "dgts": DGTS,
    "gradients of ctsdg's generator": CTSDG_TRAINING + CTSDG_GENERATOR,
    "step of ctsdg's discriminator": CTSDG_TRAINING + CTSDG_DISCRIMINATOR,
    "gradients of dgts's generator": DGTS_GENERATOR,
    "gradients of the upsampler": UPSAMPLER_TRAINING + UPSAMPLER,
    "step of the upsampler's discriminator": UPSAMPLER_TRAINING + UPSAMPLER_DISCRIMINATOR,
}


def export(path: Path, code: str, context: str = "plain_layers()") -> ModelProto:
    """What `code` exports within a context: with MindSpore's own layers, as GPU and Ascend have them."""
    program = path.with_suffix(".py")  # a file: MindSpore reads the source of cells
    program.write_text(f"path = {str(path)!r}\n{PREFACE}\nwith {context}:\n{indent(code, ' ' * 4)}")
    subprocess.run([sys.executable, program], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    return read(path)


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> ModelProto:
    return export(tmp_path_factory.mktemp("exported") / "parts.mindir", PARTS)


@pytest.fixture(scope="session", params=["parts", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelProto:
    """The inference graphs of the models, and their training graphs, as GPU and Ascend compile them."""
    if request.param == "parts":
        return request.getfixturevalue("parts")
    return export(tmp_path_factory.mktemp("exported") / "graph.mindir", SLOW[request.param])


def test_no_primitive_is_left_to_the_aicpu(exported):
    assert on_aicpu(primitives(exported)) == set()


def test_a_graph_for_cpus_has_what_other_devices_must_not(parts, tmp_path):
    """The lint finds it by name. And the squared norm of gradients is a product on a CPU alone: one may be float16."""
    for_cpu = primitives(export(tmp_path / "cpu.mindir", PARTS, "contextlib.nullcontext()"))
    assert on_aicpu(for_cpu) == {"Im2Col", "MaxPool3DWithArgmax", "MaxPool3DGradWithArgmax"}
    assert "MatMul" in for_cpu - primitives(parts)


def test_what_the_lint_allows_is_on_the_list():
    assert on_aicpu({"PadV3", "RightShift", "Conv2D", "Mul"}) == {"PadV3", "RightShift"}
    listed = {name.lower() for name in json.loads(AICPU_LIST.read_text())}
    assert {name.lower() for name in ALLOWED_AICPU} <= listed


def test_an_exported_file_claims_all_back_ends(mindir):
    assert missing_claims(read(mindir)) == {}


def test_every_primitive_claims_all_back_ends(exported):
    assert "Conv2D" in primitives(exported)
    assert missing_claims(exported) == {}


def test_every_shape_is_static(exported):
    found = tensors(exported)
    assert len(found) > 200
    assert [tensor.name for tensor in found if any(size < 0 for size in tensor.dims)] == []


def test_the_lint_finds_what_it_looks_for(tmp_path):
    assert platforms("Einsum") == {"GPU"}
    dynamic = export(
        tmp_path / "dynamic.mindir",
        "export(nn.SequentialCell(nn.ReLU(), nn.Tanh()), Tensor(shape=[None, 3], dtype=ms.float32))",
    )
    assert {"ReLU", "Tanh"} <= primitives(dynamic)
    assert any(size < 0 for tensor in tensors(dynamic) for size in tensor.dims)
