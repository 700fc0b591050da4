"""Do the exported graphs ask for anything that Ascend, GPU or CPU lacks?

A lint, as good as can be had without the hardware: it reads what MindSpore's documentation claims of each primitive.
"""

import re
import subprocess
import sys
from pathlib import Path

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
    "MatMulExt": "matmul",
    "Max": "max",
    "Muls": "mul",
    "SplitWithSize": "split",
    "ZerosLikeExt": "zeros_like",  # documented for Ascend alone, as a function of its own
}

# Gradients have no documentation of their own: an operator's claim covers its gradient.
GRADIENTS = {
    "BatchNormGrad": "BatchNorm",
    "BiasAddGrad": "BiasAdd",
    "Conv2DBackpropFilter": "Conv2D",
    "Conv2DBackpropInput": "Conv2D",
    "MaxPoolGrad": "MaxPool",
    "ReluGrad": "ReLU",
    "ResizeBilinearGrad": "ResizeBilinearV2",
    "SigmoidGrad": "Sigmoid",
    "SoftmaxBackward": "Softmax",
    "SqrtGrad": "Sqrt",
    "StridedSliceGrad": "StridedSlice",
    "TanhGrad": "Tanh",
}


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


def read(path: Path) -> ModelProto:
    model = ModelProto()
    model.ParseFromString(path.read_bytes())
    return model


def primitives(model: ModelProto) -> set[str]:
    return {primitive.op_type for primitive in model.primitives}


def tensors(model: ModelProto) -> list[TensorProto]:
    """Parameters, inputs, outputs and what lies between them."""
    found = []
    for graph in (model.graph, *model.functions):
        found += graph.parameter
        found += [tensor for value in (*graph.input, *graph.output) for tensor in value.tensor]
        found += [tensor for node in graph.node for attribute in node.attribute for tensor in attribute.tensors]
    return found


def export(path: Path, code: str) -> Path:
    """What `code` exports to `path`. In a process of its own: a cell exported here must not meet a loaded graph."""
    script = f"import src, numpy as np, mindspore as ms\nfrom mindspore import Tensor, nn, ops\npath = {str(path)!r}\n"
    subprocess.run([sys.executable, "-c", script + code], cwd=ROOT, check=True)
    return path


@pytest.fixture(scope="session")
def dgts_mindir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(
        tmp_path_factory.mktemp("dgts") / "dgts.mindir",
        "from src.dgts.generator import Generator\n"
        "from src.dgts.inpainting import Inpainting\n"
        "from src.dgts.upsampler import Upsampler\n"
        "image, mask = (Tensor(np.ones((2, channels, 256, 256), np.float32)) for channels in (3, 1))\n"
        "network = Inpainting(Generator(width=0.125), Upsampler(width=0.125), 256)\n"
        "ms.export(network, image, mask, file_name=path, file_format='MINDIR')\n",
    )


# Weights of VGG16, which do not matter here, are drawn.
TRAINING = """
from src.ctsdg import Discriminator, Generator
from src.ctsdg.loss import DiscriminatorLoss, GeneratorLoss, LossWeights
from src.losses.perceptual import VGG16Features
from src.training.train_step import TrainOneStep

ms.set_context(mode=ms.GRAPH_MODE)
generator, discriminator = Generator(width=0.02), Discriminator(width=0.02)
image, mask = (Tensor(np.ones((1, channels, 128, 128), np.float32)) for channels in (3, 1))
"""


@pytest.fixture(scope="session")
def generator_step(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(
        tmp_path_factory.mktemp("step") / "generator.mindir",
        TRAINING + "loss = GeneratorLoss(generator, discriminator, VGG16Features(), LossWeights())\n"
        "step = TrainOneStep(loss, nn.Adam(generator.trainable_params())).set_train()\n"
        "ms.export(step.gradients, image, mask, mask, mask, file_name=path, file_format='MINDIR')\n",
    )


@pytest.fixture(scope="session")
def discriminator_step(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(
        tmp_path_factory.mktemp("step") / "discriminator.mindir",
        TRAINING + "loss = DiscriminatorLoss(discriminator)\n"
        "step = nn.TrainOneStepCell(loss, nn.Adam(discriminator.trainable_params())).set_train()\n"
        "ms.export(step, image, image, mask, mask, file_name=path, file_format='MINDIR')\n",
    )


@pytest.fixture(
    params=[
        "mindir",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("dgts_mindir", "generator_step", "discriminator_step")
        ),
    ]
)
def exported(request: pytest.FixtureRequest) -> ModelProto:
    """The inference graphs of the models and CTSDG's training graphs, narrow."""
    return read(request.getfixturevalue(request.param))


def test_every_primitive_claims_all_back_ends(exported):
    used = primitives(exported) - set(STRUCTURE)
    assert "Conv2D" in used
    missing = {name: sorted(PLATFORMS - platforms(name)) for name in sorted(used) if platforms(name) != PLATFORMS}
    assert missing == {}


def test_every_shape_is_static(exported):
    found = tensors(exported)
    assert len(found) > 500
    assert [tensor.name for tensor in found if any(size < 0 for size in tensor.dims)] == []


def test_the_lint_finds_what_it_looks_for(tmp_path):
    assert platforms("Einsum") == {"GPU"}
    path = export(
        tmp_path / "dynamic.mindir",
        "network = nn.SequentialCell(nn.ReLU(), nn.Tanh())\n"
        "x = Tensor(shape=[None, 3], dtype=ms.float32)\n"
        "ms.export(network, x, file_name=path, file_format='MINDIR')\n",
    )
    dynamic = read(path)
    assert {"ReLU", "Tanh"} <= primitives(dynamic)
    assert any(size < 0 for tensor in tensors(dynamic) for size in tensor.dims)
