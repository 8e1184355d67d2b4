"""Layers to ONNX graphs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn._files import replacing
from fastrnn.interop import _gates
from fastrnn.interop._onnx_pool import pooled
from fastrnn.layers import (
    Activation,
    Add,
    Concat,
    Dropout,
    Embedding,
    Inputs,
    Linear,
    Pool,
    Residual,
    Sequential,
)
from fastrnn.layers.base import Layer
from fastrnn.layers.recurrent import Recurrent
from fastrnn.losses import LinearCrossEntropy

BRANCHES = (Add, Concat, Residual)
OPSET, IR_VERSION = 17, 8  # what ONNX Runtime has read since 1.12
OPERATORS = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
FUNCTIONS = {"rnn_tanh": "Tanh", "rnn_relu": "Relu", "rnn_sigmoid": "Sigmoid", "rnn_identity": "Affine"}


def save(model: Any, path: str | os.PathLike[str], *, lengths: bool = False, states: bool = False) -> None:
    """Write the graph of a model to a file; see `export`.

    Raises
    ------
    OSError
        The file cannot be written; what was there stays.
    """
    data = export(model, lengths=lengths, states=states).SerializeToString()
    with replacing("onnx", path) as file:
        file.write(data)


def export(model: Any, *, lengths: bool = False, states: bool = False) -> Any:
    """Make the ONNX graph of a layer, a `Sequential` or a model, as it is without dropout.

    Inputs are ``x``, [T, B, I] or [B, T, I] as the model takes it, [N, I] without recurrent layers and pools,
    or tokens (int64) where it begins with an Embedding; the output is ``y``, logits for a model that ends in
    a softmax. Sizes of T and B are free.

    Parameters
    ----------
    model
        Of RNN, LSTM (also with coupled=True or peephole="diagonal"), GRU, Linear, Embedding, Dropout,
        Activation, Pool, and Sequential, Concat, Add and Residual of these; or a language model, tagger,
        classifier or MLP. Any number of levels, both directions.
    lengths : bool
        Have an input ``lengths``, [B] of int32, of rows that are padded.
    states : bool
        Have the initial states of each recurrent layer as inputs, ``h0``, ``c0``, and those after the last
        step as outputs, ``hn``, ``cn``, each [L*D, B, H]; of several layers ``h0_1``, ... by their place.

    Returns
    -------
    onnx.ModelProto
        Opset 17, layout 0: with batch_first=True there are transpositions at both ends.

    Raises
    ------
    ImportError
        There is no onnx.
    TypeError, ValueError
        A layer that the operators of ONNX do not express, by name; float64, which runtimes lack.
    """
    try:
        import onnx
    except ImportError:
        raise ImportError("fastrnn.interop.onnx: needs onnx; pip install 'fastrnn[onnx]'") from None
    layers = _layers(model)
    graph = _Graph(onnx.helper, _check.flag("lengths", lengths), _check.flag("states", states))
    if lengths and not any(isinstance(layer, (Recurrent, Pool)) for layer in _inside(layers)):
        raise ValueError("lengths: expected False for a model that is not recurrent, got True")
    name = graph.chain(layers, graph.begin(layers))
    made = graph.finish(onnx, name, layers)
    onnx.checker.check_model(made)
    return made


def _layers(model: Any) -> list[Layer]:
    """The layers of a model, one after the other."""
    if isinstance(model, Sequential):
        return [layer for child in model.children.values() for layer in _layers(child)]
    children = getattr(model, "children", None)
    if children is not None and list(children) == ["body", "head"]:
        return [layer for child in children.values() for layer in _layers(child)]
    if not isinstance(model, Layer):
        raise TypeError(f"model: expected a layer or a model, got {_check.describe(model)}")
    if isinstance(model, BRANCHES) and not isinstance(model, Inputs):
        for child in model.children.values():
            if isinstance(_layers(child)[0], Embedding):
                raise ValueError(f"model: expected an Embedding before layers side by side, got {model!r}")
        return [model]
    kinds = (Recurrent, Linear, LinearCrossEntropy, Embedding, Dropout, Activation, Pool)
    if not isinstance(model, kinds):
        raise ValueError(f"model: expected layers that ONNX has, got {model!r}")
    if model._shapes and model.flat_params.dtype != np.float32:
        raise ValueError(f"model: expected float32, got {model!r}")
    if isinstance(model, Recurrent) and (model.cell not in _gates.ONNX or any(model.zoneout)):
        raise ValueError(f"model: expected cells that ONNX has, without zoneout, got {model!r}")
    return [model]


def _inside(layers: list[Any]) -> Iterator[Any]:
    """All layers, those side by side too."""
    for layer in layers:
        if isinstance(layer, BRANCHES):
            yield from _inside([a for child in layer.children.values() for a in _layers(child)])
        else:
            yield layer


class _Graph:
    """Nodes and weights as they come."""

    def __init__(self, helper: Any, lengths: bool, states: bool) -> None:
        self.helper, self.lengths, self.states = helper, lengths, states
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
        self.weights[name] = np.ascontiguousarray(value)
        return name

    def value(self, name: str, kind: str, shape: list[Any]) -> Any:
        """An input or output of the graph."""
        return self.helper.make_tensor_value_info(name, getattr(self.helper.TensorProto, kind), shape)

    def begin(self, layers: list[Any]) -> str:
        """The inputs."""
        every = list(_inside(layers))
        first, self.axes = every[0], 3 if any(isinstance(a, (Recurrent, Pool)) for a in every) else 2
        self.batch_first = any(getattr(layer, "batch_first", None) for layer in every)
        self.several = sum(isinstance(layer, Recurrent) for layer in every) > 1
        self.steps_first = not self.batch_first
        if isinstance(first, Embedding):
            self.inputs.append(self.value("x", "INT64", self.rows()))
        else:
            width = getattr(first, "input_size", getattr(first, "in_features", "I"))
            self.inputs.append(self.value("x", "FLOAT", [*self.rows(), width]))
        if self.lengths:
            self.inputs.append(self.value("lengths", "INT32", ["B"]))
        return "x"

    def rows(self) -> list[Any]:
        """The axes of the value at hand but the last."""
        if self.axes == 2:
            return ["B" if self.pooled else "N"]
        return ["T", "B"] if self.steps_first else ["B", "T"]

    def chain(self, layers: list[Any], x: str, where: str = "") -> str:
        """Layers one after the other; gives the name of the last output."""
        for place, layer in enumerate(layers):
            x = self.add(layer, f"{where}{place}", x)
        return x

    def branches(self, layer: Any, place: str, x: str) -> str:
        """Layers side by side, each with the same x, and what joins them."""
        x = self.turned(x, True)
        before, outputs, axes = (self.steps_first, self.axes, self.pooled), [], set[int]()
        for k, child in enumerate(layer.children.values()):
            self.steps_first, self.axes, self.pooled = before
            outputs.append(self.turned(self.chain(_layers(child), x, f"{place}.{k}."), True))
            axes.add(self.axes)
        if len(axes) > 1 or (isinstance(layer, Residual) and self.axes != before[1]):
            raise ValueError(f"model: expected outputs with as many axes side by side, got {layer!r}")
        if isinstance(layer, Concat):
            return str(self.node("Concat", outputs, axis=-1))
        y, *rest = [x, *outputs] if isinstance(layer, Residual) else outputs
        for part in rest:
            y = self.node("Add", [y, part])
        return str(y)

    def add(self, layer: Any, place: str, x: str) -> str:
        """A layer; gives the name of its output."""
        if isinstance(layer, BRANCHES):
            return self.branches(layer, place, x)
        if isinstance(layer, Recurrent):
            return self.recurrent(layer, place, self.turned(x, True))
        if isinstance(layer, (Linear, LinearCrossEntropy)):
            return self.linear(layer, place, x)
        if isinstance(layer, Embedding):
            table = self.constant(layer.params["weight"], f"{place}.weight")
            return str(self.node("Gather", [table, x]))
        if isinstance(layer, Activation) and layer.kind != "identity":
            return str(self.node(layer.kind.capitalize(), [x]))
        return pooled(self, layer, self.turned(x, True)) if isinstance(layer, Pool) else x

    def turned(self, x: str, steps_first: bool) -> str:
        """The value with that order of axes."""
        if self.axes != 3 or self.steps_first == steps_first:
            return x
        self.steps_first = steps_first
        return str(self.node("Transpose", [x], perm=[1, 0, 2]))

    def linear(self, layer: Any, place: str, x: str) -> str:
        weight, bias = layer._tables() if isinstance(layer, LinearCrossEntropy) else layer._weights
        y = self.node("MatMul", [x, self.constant(weight.T, f"{place}.weight")])
        if bias is None:
            return str(y)
        return str(self.node("Add", [y, self.constant(bias, f"{place}.bias")]))

    def recurrent(self, layer: Any, place: str, x: str) -> str:
        """The levels of a stack, each an operator; Y is [T, D, B, H]."""
        directions, levels = layer.directions, layer.num_layers
        ending = f"_{place}" if self.several else ""
        firsts: dict[str, list[str]] = {}
        if self.states:
            for state in layer.states:
                shape = [levels * directions, "B", layer.hidden_size]
                self.inputs.append(self.value(f"{state}0{ending}", "FLOAT", shape))
                sizes = self.constant(np.full(levels, directions, np.int64))
                parts = self.node("Split", [f"{state}0{ending}", sizes], levels, axis=0)
                firsts[state] = [parts] if levels == 1 else parts
        finals: list[list[str]] = []
        for level in range(levels):
            of_level = self._level_weights(layer, place, level)
            inputs = [x, of_level["W"], of_level["R"], of_level.get("B", "")]
            inputs.append("lengths" if self.lengths else "")
            inputs += [firsts[state][level] if firsts else "" for state in layer.states]
            if "P" in of_level:
                inputs += [of_level["P"]]
            while not inputs[-1]:
                inputs.pop()
            y, *last = self.node(
                OPERATORS[layer.cell.split("_")[0]],
                inputs,
                1 + len(layer.states),
                hidden_size=layer.hidden_size,
                direction="bidirectional" if layer.bidirectional else "forward",
                **_attributes(layer),
            )
            finals.append(last)
            if layer.bidirectional:
                y = self.node("Transpose", [y], perm=[0, 2, 1, 3])
                wide = self.constant(np.array([0, 0, 2 * layer.hidden_size], np.int64))
                x = self.node("Reshape", [y, wide])
            else:
                x = self.node("Squeeze", [y, self.constant(np.array([1], np.int64))])
        for state, parts in zip(layer.states if self.states else (), zip(*finals, strict=True), strict=False):
            name = f"{state}n{ending}"
            self.nodes.append(self.helper.make_node("Concat", list(parts), [name], axis=0))
            of_state: list[Any] = [levels * directions, "B", layer.hidden_size]
            self.outputs.append(self.value(name, "FLOAT", of_state))
        return x

    def _level_weights(self, layer: Any, place: str, level: int) -> dict[str, str]:
        order = _gates.ONNX[layer.cell]
        suffixes = ("", "_reverse")[: layer.directions]

        def of(kind: str, gates: Any = order) -> Any:
            return np.stack([_gates.theirs(layer.params[f"{kind}_l{level}{s}"], gates) for s in suffixes])

        found = {"W": of("weight_ih"), "R": of("weight_hh")}
        if layer.bias:
            found["B"] = np.concatenate([of("bias_ih"), of("bias_hh")], axis=1)
        if layer.cell == "lstm_peephole":
            found["P"] = of("weight_ch", _gates.PEEPHOLES)
        return {name: self.constant(a, f"{place}.{name}_l{level}") for name, a in found.items()}

    def finish(self, onnx: Any, name: str, layers: list[Layer]) -> Any:
        """The graph, with y as the model gives it."""
        name = self.turned(name, not self.batch_first)
        self.nodes.append(self.helper.make_node("Identity", [name], ["y"]))
        self.outputs.insert(0, self.value("y", "FLOAT", [*self.rows(), _width(layers)]))
        weights = [onnx.numpy_helper.from_array(a, name) for name, a in self.weights.items()]
        graph = self.helper.make_graph(self.nodes, "fastrnn", self.inputs, self.outputs, weights)
        opset = self.helper.make_opsetid("", OPSET)
        return self.helper.make_model(
            graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="fastrnn"
        )


def _attributes(layer: Any) -> dict[str, Any]:
    """What tells a cell from others of its operator."""
    if layer.cell in FUNCTIONS:
        found: dict[str, Any] = {"activations": [FUNCTIONS[layer.cell]] * layer.directions}
        if layer.cell == "rnn_identity":
            found |= {
                "activation_alpha": [1.0] * layer.directions,
                "activation_beta": [0.0] * layer.directions,
            }
        return found
    if layer.cell == "lstm_coupled":
        return {"input_forget": 1}
    return {"linear_before_reset": int(layer.cell == "gru")} if layer.cell.startswith("gru") else {}


def _width(layers: list[Any]) -> Any:
    """Columns of the last output."""
    for layer in reversed(layers):
        if isinstance(layer, BRANCHES):
            widths = [_width(_layers(child)) for child in layer.children.values()]
            if "O" in widths:
                continue
            return sum(widths) if isinstance(layer, Concat) else widths[0]
        for name in ("out_features", "num_classes", "embedding_dim"):
            if hasattr(layer, name):
                return getattr(layer, name)
        if isinstance(layer, Recurrent):
            return layer.output_size * layer.directions
    return "O"
