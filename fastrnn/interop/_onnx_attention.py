"""Attention as operators of ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastrnn.interop._onnx_graph import Graph


def attended(graph: Graph, scores: str, memory: str) -> tuple[str, str]:
    """Sums [B, S, E] of a memory [B, T, E] by the softmax of scores [B, S, T], and their weights."""
    if graph.lengths:
        *_, mask = graph.steps(memory, 1, (), (1, 2))  # [B, 1, T]
        low = graph.constant(np.array(-np.inf, np.float32))
        weights = graph.node("Softmax", [graph.node("Where", [mask, scores, low])], axis=-1)
        # Of a row without steps, for which softmax gives NaN, too.
        weights = graph.node("Where", [mask, weights, graph.constant(np.array(0, np.float32))])
    else:
        weights = graph.node("Softmax", [scores], axis=-1)
    return graph.node("MatMul", [weights, memory]), weights


def attention(graph: Graph, layer: Any, place: str, query: str, memory: str) -> tuple[str, str]:
    """Add an Attention of a query [S, B, D] to a memory [T, B, E]; gives [S, B, E] and weights [B, S, T]."""
    node = graph.node

    def product(name: str, x: str) -> str:
        child = layer.children.get(name)
        if child is None:
            return x
        weight, bias = child._weights
        return graph.product(x, weight, bias, f"{place}.{name}")

    q = node("Transpose", [product("queries", query)], perm=[1, 0, 2])  # [B, S, D]
    keys = product("keys", memory)
    if layer.kind == "additive":
        k = node("Unsqueeze", [node("Transpose", [keys], perm=[1, 0, 2]), graph.ints(1)])
        both = node("Tanh", [node("Add", [node("Unsqueeze", [q, graph.ints(2)]), k])])  # [B, S, T, D]
        energy = layer.children["energy"].params["weight"]
        column = graph.constant(np.reshape(energy, (-1, 1)), f"{place}.energy.weight")
        scores = node("Squeeze", [node("MatMul", [both, column]), graph.ints(3)])
    else:
        scores = node("MatMul", [q, node("Transpose", [keys], perm=[1, 2, 0])])
    context, weights = attended(graph, scores, node("Transpose", [memory], perm=[1, 0, 2]))
    return node("Transpose", [context], perm=[1, 0, 2]), weights
