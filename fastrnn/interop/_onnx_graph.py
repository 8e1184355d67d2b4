"""An ONNX graph as it grows: nodes, weights, inputs and outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

OPSET, IR_VERSION = 17, 8  # what ONNX Runtime has read since 1.12


class Graph:
    """Nodes and weights as they come, and what is known of the value at hand.

    Parameters
    ----------
    onnx
        The module.
    lengths
        The input that has the lengths of the rows at hand, or "".
    states
        Whether recurrent layers have their states as inputs and outputs.
    """

    def __init__(self, onnx: Any, lengths: str = "", states: bool = False) -> None:
        self.onnx, self.helper, self.lengths, self.states = onnx, onnx.helper, lengths, states
        self.nodes: list[Any] = []
        self.weights: dict[str, Any] = {}
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.batch_first = self.several = self.pooled = False
        self.steps_first = True  # whether the value at hand is [T, B, ...]
        self.axes = 3

    def node(self, operator: str, inputs: list[str], outputs: int = 1, **attributes: Any) -> Any:
        """Add an operator; gives the name of its output, or names."""
        names = [f"{operator.lower()}_{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(self.helper.make_node(operator, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Any, name: str = "") -> str:
        """Add a weight, or a constant; gives its name."""
        name = name or f"constant_{len(self.weights)}"
        self.weights[name] = np.asarray(value, order="C")
        return name

    def ints(self, *values: int) -> str:
        """Add a constant of int64: axes, a shape, sizes of parts."""
        return self.constant(np.array(values, np.int64))

    def split(self, x: str, parts: int, axis: int) -> list[str]:
        """Cut a value into equal parts."""
        found = self.node("Split", [x], parts, axis=axis)
        return [found] if parts == 1 else found

    def cast(self, x: str, kind: str) -> str:
        """As numbers of another kind, such as "INT64"."""
        return str(self.node("Cast", [x], to=getattr(self.helper.TensorProto, kind)))

    def input(self, name: str, kind: str, shape: list[Any]) -> str:
        """Add an input; gives its name."""
        self.inputs.append(self._value(name, kind, shape))
        return name

    def output(self, name: str, x: str, kind: str, shape: list[Any]) -> None:
        """Make a value an output."""
        self.nodes.append(self.helper.make_node("Identity", [x], [name]))
        self.outputs.append(self._value(name, kind, shape))

    def _value(self, name: str, kind: str, shape: list[Any]) -> Any:
        return self.helper.make_tensor_value_info(name, getattr(self.helper.TensorProto, kind), shape)

    def rows(self) -> list[Any]:
        """The axes of the value at hand but the last."""
        if self.axes == 2:
            return ["B" if self.pooled else "N"]
        return ["T", "B"] if self.steps_first else ["B", "T"]

    def turned(self, x: str, steps_first: bool) -> str:
        """The value with that order of axes."""
        if self.axes != 3 or self.steps_first == steps_first:
            return x
        self.steps_first = steps_first
        return str(self.node("Transpose", [x], perm=[1, 0, 2]))

    def sequence(self, lengths: str = "") -> None:
        """From here on the value at hand is [T, B, ...], of rows with these lengths."""
        self.steps_first, self.axes, self.pooled, self.lengths = True, 3, False, lengths

    def product(self, x: str, weight: Any, bias: Any, place: str) -> str:
        """Add x W^T + b, or without b."""
        y = self.node("MatMul", [x, self.constant(weight.T, f"{place}.weight")])
        return str(y if bias is None else self.node("Add", [y, self.constant(bias, f"{place}.bias")]))

    def steps(self, x: str, axis: int, of_steps: tuple[int, ...], of_rows: tuple[int, ...]) -> list[str]:
        """The numbers of the steps on one axis of x, how many a row has, and which of them it has.

        The first get axes of one at `of_steps`; lengths, where there are such, at `of_rows`.
        """
        count = self.node("Gather", [self.node("Shape", [x]), self.constant(np.array(axis, np.int64))])
        zero, one = self.constant(np.array(0, np.int64)), self.constant(np.array(1, np.int64))
        at = self.node("Range", [zero, count, one])
        if of_steps:
            at = self.node("Unsqueeze", [at, self.ints(*of_steps)])
        if self.lengths:
            count = self.node("Unsqueeze", [self.cast(self.lengths, "INT64"), self.ints(*of_rows)])
        return [at, count, self.node("Less", [at, count])]

    def finished(self) -> Any:
        """The graph as a model, checked."""
        order = sorted(self.outputs, key=lambda output: output.name != "y")
        weights = [self.onnx.numpy_helper.from_array(a, name) for name, a in self.weights.items()]
        graph = self.helper.make_graph(self.nodes, "fastrnn", self.inputs, order, weights)
        opset = self.helper.make_opsetid("", OPSET)
        made = self.helper.make_model(
            graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="fastrnn"
        )
        self.onnx.checker.check_model(made)
        return made
