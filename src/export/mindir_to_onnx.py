"""A MINDIR graph as an ONNX graph: its functions are followed, its loops become Loop, its primitives rows of the table.

MindSpore writes a `while` as a function that calls itself last: its head compares, then calls the body, which ends by
calling the head with the next state, or calls the exit, which goes on behind the loop.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import onnx

from ..errors import InputError
from .onnx_graph import Body, OnnxGraph, Scope, Tensor
from .onnx_rows import ROWS
from .read_mindir import CALL, Function, Mindir, Node, TensorType


class Partial(NamedTuple):
    """A function with its first arguments."""

    function: str
    arguments: tuple


class Switch(NamedTuple):
    """One function or the other, by a condition that the graph computes."""

    condition: Tensor
    if_true: Partial
    if_false: Partial


class Again(NamedTuple):
    """The end of a loop's body: the next round, with this state."""

    head: str
    arguments: tuple


def first_argument(translator: "Translator", node: Node, *inputs: Any) -> Any:
    return inputs[0]


# What only arranges values, and has no operator.
STRUCTURE = {
    "Depend": first_argument,
    "Load": first_argument,  # of a parameter
    "MakeTuple": lambda translator, node, *inputs: inputs,
    "Partial": lambda translator, node, function, *inputs: Partial(function, inputs),
    "Switch": lambda translator, node, *inputs: Switch(*inputs),
    "TupleGetItem": lambda translator, node, values, i: values[i],
    "UpdateState": lambda translator, node, *inputs: None,
    CALL: lambda translator, node, function, *inputs: translator.call(function, inputs),
}


def missing_rows(mindir: Mindir) -> Iterator[str]:
    """For each primitive that cannot be translated a line that names it, and the layer it stands in."""
    for function in (mindir.main, *mindir.functions.values()):
        for node in function.nodes:
            if node.kind not in ROWS and node.kind not in STRUCTURE:
                yield f"the primitive {node.kind} of {node.layer}"


def translate(mindir: Mindir, inputs: Sequence[str], outputs: Sequence[str]) -> onnx.ModelProto:
    """The ONNX model of a MINDIR, with these names for what goes in and comes out.

    Raises InputError for a primitive that has no row.
    """
    for missing in missing_rows(mindir):
        raise InputError(f"{missing} has no row in src/export/onnx_rows.py; add one, or export a .mindir file")
    graph = OnnxGraph()
    translator = Translator(mindir, graph)
    taken = [Tensor(name, graph.scope, kind) for name, kind in zip(inputs, mindir.input_types, strict=True)]
    found = translator.run(mindir.main, taken)
    found = found if isinstance(found, tuple) else (found,)
    made = [graph.named(x, graph.scope, name) for x, name in zip(found, outputs, strict=True)]
    return graph.model(taken, made)


class Translator:
    """Follows a MINDIR's functions, and writes what they compute into an ONNX graph."""

    def __init__(self, mindir: Mindir, graph: OnnxGraph) -> None:
        self.mindir, self.graph, self.scope = mindir, graph, graph.scope
        self.reached = {name: reached(name, mindir) for name in mindir.functions}
        self.open: list[str] = []  # heads of loops whose bodies are being followed
        prefix = mindir.main.inputs[0].rpartition(":")[0] + ":"
        self.known = {
            name: graph.constant(array, name=name.removeprefix(prefix)) for name, array in mindir.parameters.items()
        }

    def run(self, function: Function, arguments: Sequence) -> Any:
        """What a function returns: its nodes one after the other."""
        values = dict(zip(function.inputs, arguments, strict=True))

        def value(name: str) -> Any:
            for names in (values, self.known, self.mindir.constants):
                if name in names:
                    return names[name]
            return name  # of a function

        for node in function.nodes:
            values[node.output] = self.apply(node, [value(name) for name in node.inputs])
        return value(function.output)

    def apply(self, node: Node, inputs: Sequence) -> Any:
        if node.kind in STRUCTURE:
            return STRUCTURE[node.kind](self, node, *inputs)
        result = ROWS[node.kind](self.graph, node, *inputs)
        if isinstance(result, Tensor):
            return replace(result, type=node.result)
        return tuple(x and replace(x, type=kind) for x, kind in zip(result, node.result, strict=False))

    def call(self, callee: "str | Switch", arguments: tuple) -> Any:
        if isinstance(callee, Switch):
            return self.choose(callee, arguments)
        if callee in self.open:
            return Again(callee, arguments)
        if callee in self.reached[callee]:
            return self.loop(callee, arguments)
        return self.run(self.mindir.functions[callee], arguments)

    def choose(self, switch: Switch, arguments: tuple) -> Any:
        """A call of one of two functions: in the head of a loop the Switch itself, else a condition (`and`, `or`)."""
        functions = (switch.if_true, switch.if_false)
        if self.open and any(self.open[-1] in self.reached[function.function] for function in functions):
            return switch
        yes, no = (self.call(function.function, (*function.arguments, *arguments)) for function in functions)
        boolean = TensorType((), np.dtype(np.bool_))
        if (yes.type, no.type) != (boolean, boolean):
            raise InputError(f"{switch.if_true.function}: only conditions can be chosen between; export a .mindir file")
        return self.select(switch.condition, yes, no)

    def loop(self, head: str, arguments: tuple) -> Any:
        """What comes behind a loop."""
        outside = self.scope
        first = self.enter(head, arguments)
        # What a round hands on as it got it is no state. To see it, one round is followed for nothing.
        state = [i for i, x in enumerate(arguments) if isinstance(x, Tensor | np.ndarray)]
        _, before, after = self.round(head, arguments, state)
        state = [i for i in state if after[i] is not before[i]]

        body, before, after = self.round(head, arguments, state)
        again = self.enter(head, after).condition
        inputs = [self.graph.new("round", body, TensorType((), np.dtype(np.int64)))]
        inputs += [self.graph.new("condition", body, TensorType((), np.dtype(np.bool_)))]
        inputs += [before[i] for i in state]
        outputs = [self.graph.named(self.tensor(x), body) for x in (again, *(after[i] for i in state))]
        initial = [self.tensor(arguments[i]) for i in state]
        found = self.graph.loop(
            outside, self.tensor(first.condition), initial, Body(body, tuple(inputs), tuple(outputs))
        )
        # OpenVINO 2026.4 leaves rubbish in the results of a loop that runs no round.
        found = [self.select(first.condition, x, start) for x, start in zip(found, initial, strict=True)]
        last = self.enter(head, replaced(arguments, state, found))
        return self.call(last.if_false.function, last.if_false.arguments)

    def enter(self, head: str, arguments: Sequence) -> Switch:
        """The condition of a loop with a state, its body and its exit."""
        self.open.append(head)
        switch = self.run(self.mindir.functions[head], arguments)
        self.open.pop()
        if not isinstance(switch, Switch) or head not in self.reached[switch.if_true.function]:
            raise InputError(f"{head}: a loop of a form that is not known; export a .mindir file")
        return switch

    def round(self, head: str, arguments: tuple, state: Sequence[int]) -> tuple[Scope, tuple, tuple]:
        """The body of a loop in a scope of its own, where those of `arguments` are placeholders that are its state.

        -> the scope, the arguments of the round, those of the next
        """
        outside, self.scope = self.scope, Scope(self.scope.depth + 1)
        body = self.scope
        types = [self.tensor(arguments[i]).type for i in state]
        before = replaced(arguments, state, [self.graph.new("state", body, kind) for kind in types])
        step = self.enter(head, before).if_true
        self.open.append(head)
        result = self.run(self.mindir.functions[step.function], step.arguments)
        self.open.pop()
        self.scope = outside
        if not isinstance(result, Again) or result.head != head:
            raise InputError(f"{head}: a loop that does not end with its next round; export a .mindir file")
        return body, before, result.arguments

    def select(self, condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
        op = self.graph.op
        if yes.dtype != np.bool_:
            chosen = op("Where", condition, yes, no)
        else:  # ONNX Runtime has no Where for booleans
            chosen = op("Or", op("And", condition, yes), op("And", op("Not", condition), no))
        return replace(chosen, type=yes.type)

    def tensor(self, x: object) -> Tensor:
        return x if isinstance(x, Tensor) else self.graph.constant(x)


def replaced(arguments: Sequence, places: Sequence[int], values: Sequence) -> tuple:
    new = dict(zip(places, values, strict=True))
    return tuple(new.get(i, x) for i, x in enumerate(arguments))


def reached(name: str, mindir: Mindir) -> frozenset[str]:
    """The functions that a function may call, directly or through others."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for node in mindir.functions[waiting.pop()].nodes:
            new = {x for x in node.inputs if x in mindir.functions} - found
            found |= new
            waiting += new
    return frozenset(found)
