"""Layers that make one vector of a sequence, as operators of ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.interop._onnx_attention import attended

if TYPE_CHECKING:
    from fastrnn.interop._onnx_graph import Graph


def pooled(graph: Graph, x: str, kind: str, bidirectional: bool = False) -> str:
    """Add a Pool over the steps of x, [T, B, H], with lengths by a mask over the steps; gives [B, H]."""
    node, constant = graph.node, graph.constant
    graph.axes, graph.pooled = 2, True
    at, count, there = graph.steps(x, 0, (1, 2), (0, 2))  # [T, 1, 1], [1, B, 1]
    zero, one, axis = constant(np.array(0, np.int64)), constant(np.array(1, np.int64)), graph.ints(0)
    nothing = constant(np.array(0, np.float32))
    if kind == "max":
        low = constant(np.array(-np.inf, np.float32))
        best = node("ReduceMax", [node("Where", [there, x, low])], axes=[0], keepdims=1)
        found = node("Where", [node("Greater", [count, zero]), best, nothing])
        return str(node("Squeeze", [found, axis]))
    if kind == "mean":
        total = node("ReduceSum", [node("Where", [there, x, nothing]), axis], keepdims=1)
        number = graph.cast(node("Max", [count, one]), "FLOAT")
        return str(node("Squeeze", [node("Div", [total, number]), axis]))
    last = node("Equal", [at, node("Sub", [count, one])])
    if bidirectional:  # the second half of the columns ends with the first step
        first = node("And", [node("Equal", [at, zero]), there])
        halves = zip((last, first), graph.split(x, 2, axis=2), strict=True)
        chosen = node("Concat", [node("Where", [mask, half, nothing]) for mask, half in halves], axis=2)
    else:
        chosen = node("Where", [last, x, nothing])
    return str(node("ReduceSum", [chosen, axis], keepdims=0))


def convolved(graph: Graph, layer: Any, place: str, x: str) -> str:
    """Add a ConvMax over x, [T, B, I], which is zero past the end of a row; gives [B, F]."""
    weight, bias = layer._weights
    if graph.lengths:
        *_, there = graph.steps(x, 0, (1, 2), (0, 2))
        x = graph.node("Where", [there, x, graph.constant(np.array(0, np.float32))])
    before = (layer.width - 1) // 2
    wide = graph.node(
        "Conv",
        [
            graph.node("Transpose", [x], perm=[1, 2, 0]),
            graph.constant(weight, f"{place}.weight"),
            graph.constant(bias, f"{place}.bias"),
        ],
        pads=[before, layer.width - 1 - before],
    )
    return pooled(graph, graph.node("Transpose", [wide], perm=[2, 0, 1]), "max")


def weighted(graph: Graph, layer: Any, place: str, x: str) -> str:
    """Add an AttentionPool over x, [T, B, H]; gives [B, H]."""
    weight, bias = layer._weights
    moved = graph.node("Add", [x, graph.constant(bias, f"{place}.bias")])
    energy = graph.constant(weight[:, None], f"{place}.weight")
    scores = graph.node("MatMul", [graph.node("Tanh", [moved]), energy])  # [T, B, 1]
    turned = graph.node("Transpose", [x], perm=[1, 0, 2])
    y, _ = attended(graph, graph.node("Transpose", [scores], perm=[1, 2, 0]), turned)
    graph.axes, graph.pooled = 2, True
    return str(graph.node("Squeeze", [y, graph.ints(1)]))
