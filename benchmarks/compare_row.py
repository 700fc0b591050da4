"""One row of benchmarks/compare.py, in a process of its own: compare_row.py WORK ROW MODEL FOLDER WIDTH SIZE BATCH

Says in a line of JSON when it is ready, then for each line on stdin makes one call and says how long it took.
Rows of images read inputs.npz and network.onnx in FOLDER, which the row `export` writes.
"""

import json
import os
import resource
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # this file imports nothing of src: torch is not to get the limit that MindSpore needs
MATRIX = 2048  # sides of the matrices whose product is the measure of the machine


def published(model: str, folder: Path, width: float, *_) -> tuple[Callable[[], object], dict]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks import published_ctsdg, published_upsampler

    torch.manual_seed(0)
    make = {"ctsdg": published_ctsdg.Generator, "dgts": published_upsampler.Upsampler}[model]
    network, batch = make(width).eval(), [torch.from_numpy(array) for array in read_inputs(folder).values()]
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:  # shapes without numbers
        make(width).eval()(*(tensor.to("meta") for tensor in batch))

    def call() -> object:
        with torch.inference_mode():
            return network(*batch)

    return call, {"gflop": counter.get_total_flops() / 1e9}


def matrix_product(*_) -> tuple[Callable[[], object], dict]:
    import torch

    matrix = torch.rand(MATRIX, MATRIX)
    return lambda: matrix @ matrix, {"gflop": 2 * MATRIX**3 / 1e9}


def mindspore(model: str, folder: Path, width: float, *_) -> tuple[Callable[[], object], dict]:
    use_mindspore()
    from mindspore import Tensor

    network, _, _ = our_cell(model, width)
    batch = [Tensor(array) for array in read_inputs(folder).values()]
    return lambda: network(*batch).asnumpy(), {}


def onnx(runtime: str, precision: str) -> Callable[..., tuple[Callable[[], object], dict]]:
    def make(model: str, folder: Path, width: float, *_) -> tuple[Callable[[], object], dict]:
        from src.inference.onnx_runtimes import load_onnx

        network, batch = load_onnx(folder / "network.onnx", runtime, precision), list(read_inputs(folder).values())
        return lambda: network(*batch), {}

    return make


def torch_step(as_published: bool) -> Callable[..., tuple[Callable[[], object], dict]]:
    def make(model: str, folder: Path, width: float, *geometry: int) -> tuple[Callable[[], object], dict]:
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "DEFAULT")  # before src sets the limit that MindSpore needs
        from benchmarks import gpu

        args = Namespace(as_published=as_published, bfloat16=False, compiled=False)
        return gpu.torch_step(args, step_options(width, *geometry))[0], {}

    return make


def mindspore_step(model: str, folder: Path, width: float, *geometry: int) -> tuple[Callable[[], object], dict]:
    from benchmarks import gpu

    return gpu.our_step(Namespace(), step_options(width, *geometry))[0], {}


def step_options(width: float, size: int, batch: int):
    from benchmarks.gpu import NO_VGG
    from model_utils.config import load_config

    return load_config([*NO_VGG, "--width", str(width), "--image_size", str(size), "--batch_size", str(batch)])


IMAGE_ROWS: Mapping[str, Callable] = {
    "PyTorch, as published": published,
    "MindSpore, this project": mindspore,
    "ONNX Runtime, float32": onnx("onnxruntime", "float32"),
    "OpenVINO, float32": onnx("openvino", "float32"),
    "OpenVINO, bfloat16": onnx("openvino", "bfloat16"),
    "float32 matrix product": matrix_product,
}
TRAIN_ROWS: Mapping[str, Callable] = {
    "PyTorch, as published": torch_step(as_published=True),
    "PyTorch, lean": torch_step(as_published=False),
    "MindSpore, this project": mindspore_step,
    "float32 matrix product": matrix_product,
}
ROWS = {"image": IMAGE_ROWS, "train": TRAIN_ROWS}  # by what is timed


def use_mindspore() -> None:
    from model_utils.config import load_config
    from model_utils.device import prepare

    prepare(load_config([]))  # graph mode on the CPU


def our_cell(model: str, width: float) -> tuple:
    """The cell, the descriptions of its inputs, and that of its output."""
    from src.network_info import COMPOSITE

    if model == "ctsdg":
        from src.ctsdg.inpainting import Inpainting
        from src.ctsdg.model import CTSDG

        network = Inpainting(CTSDG.network(CTSDG.info("generator", width=width)))
        inputs, output = CTSDG.inputs, COMPOSITE
    else:
        from src.dgts.model import LOW, MASKED, OUTPUT
        from src.dgts.upsampler.fused import fuse
        from src.dgts.upsampler.model import UPSAMPLER

        network = fuse(UPSAMPLER.network(UPSAMPLER.info("upsampler", width=width)))
        inputs, output = (MASKED, LOW), OUTPUT
    for name, parameter in network.parameters_and_names():
        parameter.name = name  # fusing leaves names that a MINDIR takes for the same
        if name.endswith("gamma") and parameter.size == 1:
            parameter.set_data(parameter.init_data() + 0.5)  # at 0 a compiler might leave out what follows
    return network, inputs, output


def export(model: str, folder: Path, width: float, size: int, batch: int) -> dict:
    """Write inputs.npz and network.onnx, and count what the network needs."""
    use_mindspore()
    import numpy as np
    import onnx

    from benchmarks.rows import random_batch
    from src.dgts.upsampler.network import masked_input
    from src.export import onnx_file
    from src.export.trial import Exported
    from src.network_info import NetworkInfo

    network, inputs, output = our_cell(model, width)
    image, mask, edge, gray = random_batch(batch, size)
    low = image[:, :, ::8, ::8]
    arrays = {"image": image, "mask": mask, "edge": edge, "gray": gray, "masked": masked_input(image, mask), "low": low}
    examples = {tensor: np.ascontiguousarray(arrays[tensor.name].asnumpy()) for tensor in inputs}
    np.savez(folder / "inputs.npz", **{tensor.name: array for tensor, array in examples.items()})
    result = np.zeros((batch, 3, size, size), np.float32)
    exported = Exported(network, NetworkInfo(model, ""), examples, {output: result})
    onnx_file.write(exported, batch, folder / "network.onnx")
    return {"gflop": count_onnx(onnx.load(folder / "network.onnx")) / 1e9}


def count_onnx(model) -> int:
    """Multiplications and additions of the convolutions and matrix products of an ONNX graph."""
    import math

    from onnx import shape_inference

    graph = shape_inference.infer_shapes(model).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shapes[value.name] = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    total = 0
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):  # each number of one side meets a kernel of weight.shape[1:]
            one_side = shapes[(node.output if node.op_type == "Conv" else node.input)[0]]
            total += 2 * math.prod(one_side) * math.prod(shapes[node.input[1]][1:])
        elif node.op_type in ("MatMul", "Gemm"):
            transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
            total += 2 * math.prod(shapes[node.output[0]]) * shapes[node.input[0]][-2 if transposed else -1]
    return total


def read_inputs(folder: Path) -> dict:
    import numpy as np

    return dict(np.load(folder / "inputs.npz"))


def peak_memory() -> float:
    """Of this process, in GB. (What getrusage says would include the parent's before this one started.)"""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main(work: str, row: str, model: str, folder: str, width: str, *geometry: str) -> None:
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not for the parent

    def say(**facts: object) -> None:
        print(json.dumps(facts), file=channel, flush=True)

    # A process that wants more than there is gets an error to report, instead of being killed with all others.
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    try:
        if row == "export":
            say(**export(model, Path(folder), float(width), *map(int, geometry)))
            return
        call, facts = ROWS[work][row](model, Path(folder), float(width), *map(int, geometry))
        call()  # compiling, first touches of memory
        say(**facts)
        for _ in sys.stdin:
            start = time.perf_counter()
            call()
            say(seconds=time.perf_counter() - start, peak=peak_memory())
    except Exception as error:  # the other rows go on; the parent prints why this one did not
        lines = str(error).strip().splitlines()
        kind = [] if type(error).__name__ == "InputError" else [type(error).__name__]  # its message says all
        say(error=": ".join(kind + lines[:1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
