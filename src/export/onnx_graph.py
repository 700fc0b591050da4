"""An ONNX graph under construction: values, operators, loops within it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .read_mindir import TensorType

OPSET, IR_VERSION = 18, 9  # the oldest that hold what is used: ONNX Runtime since 1.14 reads them


@dataclass
class Scope:
    """The graph itself, or the body of a loop, which sees the values of what it stands in."""

    depth: int = 0
    nodes: list["Operator"] = field(default_factory=list)


@dataclass(frozen=True)
class Tensor:
    """A value of the graph. Its type is known where it is the result of a MINDIR node."""

    name: str
    scope: Scope = field(repr=False, compare=False)
    type: TensorType | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        assert self.type, self.name
        return self.type.shape

    @property
    def dtype(self) -> np.dtype:
        assert self.type, self.name
        return self.type.dtype


@dataclass(frozen=True)
class Operator:
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict
    body: "Body | None" = None  # of a loop


@dataclass(frozen=True)
class Body:
    """What a loop repeats: number of the round, condition, state -> next condition, next state."""

    scope: Scope
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class OnnxGraph:
    """Operators in the order in which they were asked for, the constants they share, and the ONNX model of it all."""

    def __init__(self) -> None:
        self.scope = Scope()
        self.constants: dict[str, np.ndarray] = {}
        self.tiled: dict[str, Tensor] = {}  # results of Tile along axes of length 1, and what it repeats there
        self._known: dict[str | tuple, Tensor] = {}
        self._count = 0

    def new(self, kind: str, scope: Scope, type: TensorType | None = None) -> Tensor:
        self._count += 1
        return Tensor(f"{kind}_{self._count}", scope, type)

    def constant(self, value: Any, dtype: np.dtype | None = None, name: str = "") -> Tensor:
        """The same value twice is one constant, unless it has a name."""
        array = np.asarray(value, dtype)
        key = name or (array.dtype, array.shape, array.tobytes())
        if key not in self._known:
            kind = TensorType(array.shape, array.dtype)
            tensor = Tensor(name, self.scope, kind) if name else self.new("constant", self.scope, kind)
            self.constants[tensor.name] = array
            self._known[key] = tensor
        return self._known[key]

    def op(self, kind: str, *inputs: object, **attributes: object) -> Tensor:
        """The result of an operator that has one; see `results`."""
        return self.results(kind, *inputs, outputs=1, **attributes)[0]

    def results(self, kind: str, *inputs: object, outputs: int, **attributes: object) -> tuple[Tensor, ...]:
        """The results of an operator. Inputs that are no Tensor become constants; None is an input left out.

        It stands where the innermost of its inputs does, so what a loop would compute anew in each round, from values
        of outside, is computed once.
        """
        tensors = [x if isinstance(x, Tensor) or x is None else self.constant(x) for x in inputs]
        scope = max((x.scope for x in tensors if x is not None), key=lambda scope: scope.depth, default=self.scope)
        results = tuple(self.new(kind, scope) for _ in range(outputs))
        names = tuple("" if x is None else x.name for x in tensors)
        scope.nodes.append(Operator(kind, names, tuple(x.name for x in results), attributes))
        return results

    def loop(self, scope: Scope, condition: Tensor, state: Sequence[Tensor], body: Body) -> list[Tensor]:
        """A loop in `scope`: the state when the condition no longer holds."""
        results = [self.new("Loop", scope, x.type) for x in state]
        names = ("", condition.name, *(x.name for x in state))  # "": no other limit to the rounds
        scope.nodes.append(Operator("Loop", names, tuple(x.name for x in results), {}, body))
        return results

    def named(self, x: Tensor, scope: Scope, name: str = "") -> Tensor:
        """A copy of a value in a scope, as outputs of graphs have to be: results of their own operators."""
        copy = self.new("Identity", scope, x.type)
        copy = replace(copy, name=name) if name else copy
        scope.nodes.append(Operator("Identity", (x.name,), (copy.name,), {}))
        return copy

    def model(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> onnx.ModelProto:
        """The ONNX model, of what the outputs need."""
        nodes, used = needed(self.scope, outputs)
        graph = helper.make_graph(
            [protobuf(node) for node in nodes],
            "network",
            [value_info(x) for x in inputs],
            [value_info(x) for x in outputs],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items() if name in used],
        )
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)


def needed(scope: Scope, outputs: Sequence[Tensor]) -> tuple[list[Operator], set[str]]:
    """The operators of a scope that its outputs need, in order, and the names of all values they use."""
    used, kept = {x.name for x in outputs}, []
    for node in reversed(scope.nodes):
        if used.isdisjoint(node.outputs):
            continue
        kept.append(node)
        used.update(node.inputs)
        if node.body:
            used |= needed(node.body.scope, node.body.outputs)[1]
    return kept[::-1], used


def protobuf(node: Operator) -> onnx.NodeProto:
    attributes = dict(node.attributes)
    if node.body:
        nodes, _ = needed(node.body.scope, node.body.outputs)
        attributes["body"] = helper.make_graph(
            [protobuf(inner) for inner in nodes],
            node.outputs[0],
            [value_info(x) for x in node.body.inputs],
            [value_info(x) for x in node.body.outputs],
        )
    return helper.make_node(node.kind, node.inputs, node.outputs, name=node.outputs[0], **attributes)


def value_info(x: Tensor) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(x.name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
