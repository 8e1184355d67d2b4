"""Layers as operators of ONNX, one after the other and side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _check
from fastrnn.interop import _gates
from fastrnn.interop._onnx_pool import convolved, pooled, weighted
from fastrnn.layers import (
    Activation,
    Add,
    AttentionPool,
    Concat,
    ConvMax,
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

if TYPE_CHECKING:
    from fastrnn.interop._onnx_graph import Graph

BRANCHES = (Add, Concat, Residual)
POOLS = (Pool, ConvMax, AttentionPool)
OPERATORS = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
FUNCTIONS = {"rnn_tanh": "Tanh", "rnn_relu": "Relu", "rnn_sigmoid": "Sigmoid", "rnn_identity": "Affine"}
States = dict[str, list[str]]  # of each level [D, B, H], by the names of the states


def layers_of(model: Any) -> list[Any]:
    """The layers of a model, one after the other.

    Raises
    ------
    TypeError, ValueError
        One that ONNX does not express, or not in float32.
    """
    if isinstance(model, Sequential):
        return [layer for child in model.children.values() for layer in layers_of(child)]
    children = getattr(model, "children", None)
    if children is not None and list(children) == ["body", "head"]:
        return [layer for child in children.values() for layer in layers_of(child)]
    if not isinstance(model, Layer):
        raise TypeError(f"model: expected a layer or a model, got {_check.describe(model)}")
    if isinstance(model, BRANCHES) and not isinstance(model, Inputs):
        for child in model.children.values():
            if isinstance(layers_of(child)[0], Embedding):
                raise ValueError(f"model: expected an Embedding before layers side by side, got {model!r}")
        return [model]
    if not isinstance(model, (Recurrent, Linear, LinearCrossEntropy, Embedding, Dropout, Activation, *POOLS)):
        raise ValueError(f"model: expected layers that ONNX has, got {model!r}")
    if model._shapes and model.flat_params.dtype != np.float32:
        raise ValueError(f"model: expected float32, got {model!r}")
    if isinstance(model, Recurrent) and not _gates.has(_gates.ONNX, model):
        raise ValueError(f"model: expected cells that ONNX has, without zoneout, got {model!r}")
    return [model]


def inside(layers: list[Any]) -> Iterator[Any]:
    """All layers, those side by side too."""
    for layer in layers:
        if isinstance(layer, BRANCHES):
            yield from inside([a for child in layer.children.values() for a in layers_of(child)])
        else:
            yield layer


def over_time(layers: list[Any]) -> bool:
    """Whether any of them looks at more than one step."""
    return any(isinstance(layer, (Recurrent, *POOLS)) for layer in inside(layers))


def begin(graph: Graph, layers: list[Any]) -> str:
    """The inputs x and lengths of layers."""
    every = list(inside(layers))
    first, graph.axes = every[0], 3 if over_time(layers) else 2
    graph.batch_first = any(getattr(layer, "batch_first", None) for layer in every)
    graph.several = sum(isinstance(layer, Recurrent) for layer in every) > 1
    graph.steps_first = not graph.batch_first
    if isinstance(first, Embedding):
        graph.input("x", "INT64", graph.rows())
    else:
        width = getattr(first, "input_size", getattr(first, "in_features", getattr(first, "features", "I")))
        graph.input("x", "FLOAT", [*graph.rows(), width])
    if graph.lengths:
        graph.input(graph.lengths, "INT32", ["B"])
    return "x"


def chain(graph: Graph, layers: list[Any], x: str, where: str = "") -> str:
    """Layers one after the other; gives the name of the last output."""
    for place, layer in enumerate(layers):
        x = _add(graph, layer, f"{where}{place}", x)
    return x


def _add(graph: Graph, layer: Any, place: str, x: str) -> str:
    """A layer; gives the name of its output."""
    if isinstance(layer, BRANCHES):
        return _branches(graph, layer, place, x)
    if isinstance(layer, Recurrent):
        return _recurrent(graph, layer, place, graph.turned(x, True))
    if isinstance(layer, (Linear, LinearCrossEntropy)):
        return linear(graph, layer, place, x)
    if isinstance(layer, Embedding):
        return embedded(graph, layer.params["weight"], place, x)
    if isinstance(layer, Activation) and layer.kind != "identity":
        return str(graph.node(layer.kind.capitalize(), [x]))
    if isinstance(layer, Pool):
        return pooled(graph, graph.turned(x, True), layer.kind, layer.bidirectional)
    if isinstance(layer, ConvMax):
        return convolved(graph, layer, place, graph.turned(x, True))
    return weighted(graph, layer, place, graph.turned(x, True)) if isinstance(layer, AttentionPool) else x


def _branches(graph: Graph, layer: Any, place: str, x: str) -> str:
    """Layers side by side, each with the same x, and what joins them."""
    x = graph.turned(x, True)
    before, outputs, axes = (graph.steps_first, graph.axes, graph.pooled), [], set[int]()
    for k, child in enumerate(layer.children.values()):
        graph.steps_first, graph.axes, graph.pooled = before
        outputs.append(graph.turned(chain(graph, layers_of(child), x, f"{place}.{k}."), True))
        axes.add(graph.axes)
    if len(axes) > 1 or (isinstance(layer, Residual) and graph.axes != before[1]):
        raise ValueError(f"model: expected outputs with as many axes side by side, got {layer!r}")
    if isinstance(layer, Concat):
        return str(graph.node("Concat", outputs, axis=-1))
    y, *rest = [x, *outputs] if isinstance(layer, Residual) else outputs
    for part in rest:
        y = graph.node("Add", [y, part])
    return str(y)


def linear(graph: Graph, layer: Any, place: str, x: str) -> str:
    """A dense layer, that of a softmax too."""
    weight, bias = layer._tables() if isinstance(layer, LinearCrossEntropy) else layer._weights
    return graph.product(x, weight, bias, place)


def embedded(graph: Graph, table: Any, place: str, x: str) -> str:
    """Rows of a table."""
    return str(graph.node("Gather", [graph.constant(table, f"{place}.weight"), x]))


def _recurrent(graph: Graph, layer: Any, place: str, x: str) -> str:
    """A stack whose states are inputs and outputs of the graph, if it has such."""
    directions, levels = layer.directions, layer.num_layers
    ending = f"_{place}" if graph.several else ""
    shape: list[Any] = [levels * directions, "B", layer.hidden_size]
    firsts: States = {}
    if graph.states:
        for state in layer.states:
            name = graph.input(f"{state}0{ending}", "FLOAT", shape)
            firsts[state] = graph.split(name, levels, axis=0)
    y, lasts = recurrent(graph, layer, place, x, firsts)
    if graph.states:
        for state, parts in lasts.items():
            graph.output(f"{state}n{ending}", graph.node("Concat", parts, axis=0), "FLOAT", shape)
    return y


def recurrent(graph: Graph, layer: Any, place: str, x: str, firsts: States) -> tuple[str, States]:
    """The levels of a stack, each an operator; gives [T, B, D * H], and the last states."""
    lasts: States = {state: [] for state in layer.states}
    for level in range(layer.num_layers):
        of_level = _level_weights(graph, layer, place, level)
        inputs = [x, of_level["W"], of_level["R"], of_level.get("B", ""), graph.lengths]
        inputs += [firsts[state][level] if firsts else "" for state in layer.states]
        if "P" in of_level:
            inputs += [of_level["P"]]
        while not inputs[-1]:
            inputs.pop()
        y, *last = graph.node(
            OPERATORS[layer.cell.split("_")[0]],
            inputs,
            1 + len(layer.states),
            hidden_size=layer.hidden_size,
            direction="bidirectional" if layer.bidirectional else "forward",
            **_attributes(layer),
        )
        for state, name in zip(layer.states, last, strict=True):
            lasts[state].append(name)
        if layer.bidirectional:  # y is [T, D, B, H]
            y = graph.node("Transpose", [y], perm=[0, 2, 1, 3])
            x = graph.node("Reshape", [y, graph.ints(0, 0, 2 * layer.hidden_size)])
        else:
            x = graph.node("Squeeze", [y, graph.ints(1)])
    return x, lasts


def _level_weights(graph: Graph, layer: Any, place: str, level: int) -> dict[str, str]:
    order = _gates.ONNX[layer.cell]
    suffixes = ("", "_reverse")[: layer.directions]

    def of(kind: str, gates: Any = order) -> Any:
        return np.stack([_gates.theirs(layer.params[f"{kind}_l{level}{s}"], gates) for s in suffixes])

    found = {"W": of("weight_ih"), "R": of("weight_hh")}
    if layer.bias:
        found["B"] = np.concatenate([of("bias_ih"), of("bias_hh")], axis=1)
    if layer.cell == "lstm_peephole":
        found["P"] = of("weight_ch", _gates.PEEPHOLES)
    return {name: graph.constant(a, f"{place}.{name}_l{level}") for name, a in found.items()}


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


def width(layers: list[Any]) -> Any:
    """Columns of the last output."""
    for layer in reversed(layers):
        if isinstance(layer, BRANCHES):
            widths = [width(layers_of(child)) for child in layer.children.values()]
            if "O" in widths:
                continue
            return sum(widths) if isinstance(layer, Concat) else widths[0]
        for name in ("out_features", "num_classes", "embedding_dim", "filters", "features"):
            if hasattr(layer, name):
                return getattr(layer, name)
        if isinstance(layer, Recurrent):
            return layer.output_size * layer.directions
    return "O"
