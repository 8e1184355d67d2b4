"""Pooling over time as operators of ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np


def pooled(graph: Any, layer: Any, x: str) -> str:
    """Add a Pool over the steps of x, [T, B, H], with lengths by a mask over the steps; gives [B, H]."""
    node, constant = graph.node, graph.constant
    graph.axes, graph.pooled = 2, True
    steps = node("Gather", [node("Shape", [x]), constant(np.array(0, np.int64))])
    zero, one = constant(np.array(0, np.int64)), constant(np.array(1, np.int64))
    column = constant(np.array([1, 2], np.int64))
    at = node("Unsqueeze", [node("Range", [zero, steps, one]), column])  # [T, 1, 1]
    count = steps
    if graph.lengths:
        long = node("Cast", ["lengths"], to=graph.helper.TensorProto.INT64)
        count = node("Unsqueeze", [long, constant(np.array([0, 2], np.int64))])  # [1, B, 1]
    there, axis = node("Less", [at, count]), constant(np.array([0], np.int64))
    nothing = constant(np.array(0, np.float32))
    if layer.kind == "max":
        low = constant(np.array(-np.inf, np.float32))
        best = node("ReduceMax", [node("Where", [there, x, low])], axes=[0], keepdims=1)
        found = node("Where", [node("Greater", [count, zero]), best, nothing])
        return str(node("Squeeze", [found, axis]))
    if layer.kind == "mean":
        total = node("ReduceSum", [node("Where", [there, x, nothing]), axis], keepdims=1)
        number = node("Cast", [node("Max", [count, one])], to=graph.helper.TensorProto.FLOAT)
        return str(node("Squeeze", [node("Div", [total, number]), axis]))
    last = node("Equal", [at, node("Sub", [count, one])])
    if layer.bidirectional:  # the second half of the columns ends with the first step
        first = node("And", [node("Equal", [at, zero]), there])
        halves = node("Split", [x], 2, axis=2)
        masks = (last, first)
        parts = [node("Where", [mask, half, nothing]) for mask, half in zip(masks, halves, strict=True)]
        chosen = node("Concat", parts, axis=2)
    else:
        chosen = node("Where", [last, x, nothing])
    return str(node("ReduceSum", [chosen, axis], keepdims=0))
