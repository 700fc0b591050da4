"""A MINDIR file as plain values: functions of nodes, constants, parameters.

MindSpore has no public description of the format; `mindspore.train.mind_ir_pb2` names its fields.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mindspore.train import mind_ir_pb2

CALL = "call"  # the kind of a node that calls a function, or what a Switch chose

# Element types by their numbers, which are ONNX's too.
DTYPES = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}


class TensorType(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype


class Node(NamedTuple):
    """The application of a primitive, or of a function."""

    kind: str  # the primitive's name, or CALL
    inputs: tuple[str, ...]  # names of constants, parameters and earlier results; a called function comes first
    output: str
    attributes: Mapping[str, Any]
    result: Any  # TensorType, or a tuple of them, or None where it is no tensor
    layer: str  # where in the network it stands


class Function(NamedTuple):
    inputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    output: str


class Mindir(NamedTuple):
    main: Function
    input_types: tuple[TensorType, ...]  # of `main`
    functions: Mapping[str, Function]
    constants: Mapping[str, Any]  # number, text, tuple, None, or an array
    parameters: Mapping[str, np.ndarray]


def read_mindir(path: Path) -> Mindir:
    """Raises google.protobuf.message.DecodeError if it is none."""
    model = mind_ir_pb2.ModelProto()
    model.ParseFromString(path.read_bytes())
    graphs = [model.graph, *model.functions]
    primitives = {primitive.name: primitive for primitive in model.primitives}
    # A constant that several functions use is written in the first of them alone.
    constants = {
        node.output[0]: read_attribute(node.attribute[0])
        for graph in graphs
        for node in graph.node
        if node.op_type == "Constant"
    }
    main, *functions = (read_function(graph, primitives) for graph in graphs)
    return Mindir(
        main,
        tuple(read_type(value.tensor[0]) for value in model.graph.input),
        dict(zip((graph.name for graph in model.functions), functions, strict=True)),
        constants,
        {parameter.name: read_array(parameter) for parameter in model.graph.parameter},
    )


def read_function(graph: "mind_ir_pb2.GraphProto", primitives: Mapping) -> Function:
    nodes = tuple(read_node(node, primitives) for node in graph.node if node.op_type != "Constant")
    return Function(tuple(value.name for value in graph.input), nodes, graph.output[0].name)


def read_node(node: "mind_ir_pb2.NodeProto", primitives: Mapping) -> Node:
    name = node.op_type.removeprefix("REF::")
    own = {attribute.name: read_attribute(attribute) for attribute in node.attribute}
    if name not in primitives:  # a function, or a value that is one
        return Node(CALL, (name, *node.input), node.output[0], {}, own.get("shape"), node.domain)
    attributes = {attribute.name: read_attribute(attribute) for attribute in primitives[name].attribute}
    kind = primitives[name].op_type
    return Node(kind, tuple(node.input), node.output[0], attributes, own.get("shape"), node.domain)


def read_attribute(attribute: "mind_ir_pb2.AttributeProto") -> Any:
    """Number, text, tuple, array (a constant's value), TensorType (a result's), None."""
    kinds = mind_ir_pb2.AttributeProto
    if attribute.type in (kinds.TUPLE, kinds.LIST):
        return tuple(map(read_attribute, attribute.values))
    if attribute.type in (kinds.TENSOR, kinds.TENSORS):
        tensors = [read_array(t) if t.raw_data else read_type(t) for t in attribute.tensors or [attribute.t]]
        return tensors[0] if len(tensors) == 1 else tuple(tensors)
    # A number stands in the field of one, or in that of several where it is an entry of a tuple.
    fields = {kinds.FLOAT: ("f", "floats"), kinds.DOUBLE: ("d", "doubles"), kinds.STRING: ("s", "strings")}
    fields |= {kind: ("i", "ints") for kind in (kinds.BOOL, kinds.INT32, kinds.INT64)}
    if attribute.type not in fields:
        return None
    single, several = fields[attribute.type]
    values = getattr(attribute, several) or [getattr(attribute, single)]
    value = values[0]
    if attribute.type == kinds.BOOL:
        return bool(value)
    return value.decode() if isinstance(value, bytes) else value


def read_type(tensor: "mind_ir_pb2.TensorProto") -> TensorType:
    return TensorType(tuple(tensor.dims), np.dtype(DTYPES[tensor.data_type]))


def read_array(tensor: "mind_ir_pb2.TensorProto") -> np.ndarray:
    shape, dtype = read_type(tensor)
    return np.frombuffer(tensor.raw_data, dtype).reshape(shape)
