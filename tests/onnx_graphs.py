"""Layers as ONNX graphs, made for their meaning and run by ONNX Runtime: a forward oracle in float32.

Gates in ONNX: LSTM i, o, f, c and peepholes i, o, f; GRU z, r, h. With ``input_forget`` f = 1 - i is formed
of i, where ours forms i of f: sigma(-a) = 1 - sigma(a), so that i's rows are those of f, negated.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from ops import Run
from problems import Problem

# Ours in the order of ONNX, by kind; "-f" are the rows of f, negated, and "0" rows of zeros.
ORDER = {
    "Tanh": ("h", "h"),
    "Relu": ("h", "h"),
    "Sigmoid": ("h", "h"),
    "Lstm": ("ifgo", ["i", "o", "f", "g"]),
    "Peephole": ("ifgo", ["i", "o", "f", "g"]),
    "Coupled": ("fgo", ["-f", "o", "0", "g"]),
    "Gru": ("rzn", ["z", "r", "n"]),
    "GruBefore": ("rzn", ["z", "r", "n"]),
}
OPERATORS = {"Lstm": "LSTM", "Peephole": "LSTM", "Coupled": "LSTM", "Gru": "GRU", "GruBefore": "GRU"}
ATTRIBUTES: dict[str, dict[str, int]] = {
    "Coupled": {"input_forget": 1},
    "Gru": {"linear_before_reset": 1},
    "GruBefore": {"linear_before_reset": 0},
}


def ordered(rows: np.ndarray, ours: str, theirs: list[str] | str) -> np.ndarray:
    """The blocks of rows in another order."""
    blocks = dict(zip(ours, np.split(rows, len(ours)), strict=True))
    blocks |= {"0": np.zeros_like(blocks[ours[0]])} | {f"-{g}": -a for g, a in blocks.items()}
    return np.concatenate([blocks[g] for g in theirs])


def level_inputs(problem: Problem, level: int, x: np.ndarray) -> dict[str, np.ndarray]:
    """The inputs of the operator for one level."""
    layer, (ours, theirs) = problem.layer, ORDER[problem.kind]

    def of(kind: str) -> np.ndarray:
        names = [f"{kind}_l{level}{suffix}" for suffix in ("", "_reverse")[: layer.directions]]
        return np.stack([ordered(layer.params[name], ours, theirs) for name in names])

    found = {"X": x, "W": of("weight_ih"), "R": of("weight_hh")}
    if layer.bias:
        found["B"] = np.concatenate([of("bias_ih"), of("bias_hh")], axis=1)
    places = slice(level * layer.directions, (level + 1) * layer.directions)
    found |= {f"initial_{s}": a[places] for s, a in zip(layer.states, problem.zero_state, strict=True)}
    if problem.kind == "Peephole":
        names = [f"weight_ch_l{level}{suffix}" for suffix in ("", "_reverse")[: layer.directions]]
        found["P"] = np.stack([ordered(layer.params[n], "ifo", ["i", "o", "f"]) for n in names])
    return found


def run_level(onnx: ModuleType, runtime: ModuleType, problem: Problem, inputs: Run) -> list[np.ndarray]:
    """Y [T,D,B,H] and the final states [D,B,H] of one operator."""
    layer, operator = problem.layer, OPERATORS.get(problem.kind, "RNN")
    attributes: dict[str, Any] = dict(ATTRIBUTES.get(problem.kind, {}))
    if operator == "RNN":
        attributes["activations"] = [problem.kind] * layer.directions
    slots = ["X", "W", "R", "B", "lengths", "initial_h", *(["initial_c", "P"] if operator == "LSTM" else [])]
    outputs = ["Y", *(f"Y_{s}" for s in layer.states)]
    node = onnx.helper.make_node(
        operator,
        [name if name in inputs else "" for name in slots],
        outputs,
        hidden_size=layer.hidden_size,
        direction="bidirectional" if layer.bidirectional else "forward",
        **attributes,
    )

    steps, rows, _ = problem.x.shape
    last = (layer.directions, rows, layer.hidden_size)

    def value(name: str, shape: tuple[int, ...]) -> Any:
        kind = onnx.TensorProto.INT32 if name == "lengths" else onnx.TensorProto.FLOAT
        return onnx.helper.make_tensor_value_info(name, kind, shape)

    graph = onnx.helper.make_graph(
        [node],
        "level",
        [value(name, a.shape) for name, a in inputs.items()],
        [value(name, last if name[1:] else (steps, *last)) for name in outputs],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return session.run(None, dict(inputs))


def run_onnx(
    onnx: ModuleType, runtime: ModuleType, problem: Problem, lengths: np.ndarray | None = None
) -> Run:
    """The output and the final states of a layer."""
    layer, x, finals = problem.layer, problem.x, []
    for level in range(layer.num_layers):
        inputs = level_inputs(problem, level, x)
        if lengths is not None:
            inputs["lengths"] = lengths.astype(np.int32)
        y, *final = run_level(onnx, runtime, problem, inputs)
        x = np.ascontiguousarray(y.transpose(0, 2, 1, 3)).reshape(*y.shape[::2], -1)
        finals.append(final)
    states = [np.concatenate(parts) for parts in zip(*finals, strict=True)]
    return {"y": x, **dict(zip(layer.states, states, strict=True))}
