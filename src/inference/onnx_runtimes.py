"""Networks in ONNX files, run by OpenVINO or ONNX Runtime on the CPU. Neither needs MindSpore."""

import importlib.util
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .. import ISA_VARIABLE, MINDSPORE_ISA
from ..errors import InputError
from .batches import Network

PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}  # as OpenVINO calls them


def load_onnx(path: Path, runtime: str | None = None, precision: str = "float32") -> Network:
    """The network of an ONNX file, which several threads may call at once.

    runtime: one of RUNTIMES, None for the first that is installed; precision: one of PRECISIONS. Raises InputError
    where the packages are missing, or the runtime or this CPU has no such precision.
    """
    runtime = runtime or next(iter(installed_runtimes()), next(iter(RUNTIMES)))
    require_packages(runtime)
    return RUNTIMES[runtime](path, precision)


def require_packages(*names: str) -> None:
    """Raises InputError if one of the packages is not installed."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        listed = " and ".join(missing)
        raise InputError(f".onnx files need {listed}, not installed here: pip install -r requirements-onnx.txt")


def installed_runtimes() -> list[str]:
    return [name for name in RUNTIMES if importlib.util.find_spec(name)]


@contextmanager
def all_instructions() -> Iterator[None]:
    """Take back, for OpenVINO's oneDNN, the limit that MindSpore's needs: it would bar AVX-512 and AMX."""
    limited = os.environ.get(ISA_VARIABLE) == MINDSPORE_ISA
    if limited:
        del os.environ[ISA_VARIABLE]
    try:
        yield
    finally:
        if limited:
            os.environ[ISA_VARIABLE] = MINDSPORE_ISA


class OpenVINO:
    """inputs, each (B, …) -> outputs, each (B, …)"""

    def __init__(self, path: Path, precision: str) -> None:
        import openvino

        # Left to itself it chooses bfloat16 on CPUs with AMX.
        options = {"INFERENCE_PRECISION_HINT": PRECISIONS[precision], "PERFORMANCE_HINT": "LATENCY"}
        with all_instructions():  # the limit is read once, by the first question to the plugin
            core = openvino.Core()
            # OpenVINO itself would compute in float32 where a CPU has no bfloat16, and say nothing.
            if precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
                raise InputError("--precision bfloat16: this CPU does not compute in it; leave it out")
            self.compiled = core.compile_model(str(path), "CPU", options)
        self.requests = threading.local()  # a request holds the arrays of one call at a time

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        if not hasattr(self.requests, "own"):
            self.requests.own = self.compiled.create_infer_request()
        return [np.array(output) for output in self.requests.own.infer(list(arrays)).values()]


class ONNXRuntime:
    """inputs, each (B, …) -> outputs, each (B, …)"""

    def __init__(self, path: Path, precision: str) -> None:
        if precision != "float32":
            raise InputError(
                f"--precision {precision}: onnxruntime computes in float32 alone; leave it out, or choose "
                "--runtime openvino"
            )
        import onnxruntime

        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.inputs = [value.name for value in self.session.get_inputs()]

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        return self.session.run(None, dict(zip(self.inputs, arrays, strict=True)))


# By the names of their packages.
RUNTIMES: Mapping[str, type] = {"openvino": OpenVINO, "onnxruntime": ONNXRuntime}
