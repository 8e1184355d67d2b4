"""Models and ONNX graphs that the other side lacks: what is refused, and why."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from conftest import peer
from errors import Case, check

import fastrnn
from fastrnn.interop import onnx as ours
from fastrnn.layers import Concat, Embedding, Linear, Pool

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("onnx")]
T, B, I, H = 7, 3, 4, 6


def load(*nodes: Any, **weights: np.ndarray) -> Any:
    """Read a graph of these, from x to y."""
    onnx = peer("onnx")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        list(nodes),
        "g",
        [value("x", onnx.TensorProto.FLOAT, ["T", "B", I])],
        [value("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(a, name) for name, a in weights.items()],
    )
    opset = onnx.helper.make_opsetid("", 17)
    return ours.load(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8))


def node(operator: str, inputs: list[str], output: str = "y", **attributes: Any) -> Any:
    """An operator with one output."""
    return peer("onnx").helper.make_node(operator, inputs, [output], **attributes)


WEIGHTS = {"W": np.zeros((1, 4 * H, I), np.float32), "R": np.zeros((1, 4 * H, H), np.float32)}


def lstm(**attributes: Any) -> Any:
    """Read a graph of one LSTM."""
    return load(node("LSTM", ["x", "W", "R"], hidden_size=H, **attributes), **WEIGHTS)


def begun(begin: list[str], *before: Any, axes: int = 1, **weights: Any) -> Any:
    """Read a graph of one LSTM with more inputs: bias, lengths, h and c."""
    level = node("LSTM", ["x", "W", "R", "", *begin], "Y", hidden_size=H)
    last = node("Squeeze", ["Y", "axes"])
    return load(*before, level, last, **WEIGHTS, axes=np.array([axes]), **weights)


def last_state() -> Any:
    """Read a graph that ends in the last state, as many classifiers do."""
    level = peer("onnx").helper.make_node("LSTM", ["x", "W", "R"], ["", "h"], hidden_size=H)
    return load(level, node("Squeeze", ["h", "axes"]), **WEIGHTS, axes=np.array([0]))


STATE = {"h": np.ones((1, B, H), np.float32), "c": np.zeros((1, B, H), np.float32)}
LEARNED = {"p": np.ones((1, 1, H), np.float32), "s": np.array([1, B, H]), "c": STATE["c"]}


def test_initial_states_of_zero_are_no_matter(rng: np.random.Generator) -> None:
    zeros = node("Expand", ["z", "s"], "h"), node("ConstantOfShape", ["s"], "c")
    loaded = begun(["", "h", "c"], *zeros, z=np.zeros(1, np.float32), s=np.array([1, B, H]))
    assert loaded(rng.standard_normal((T, B, I), np.float32))[0].shape == (T, B, H)


OURS = "model: expected cells that ONNX has, without zoneout, got "
PLAIN = "graph: expected LSTM forward or bidirectional, and no more, got "
ERRORS: dict[str, Case] = {
    "no model": (lambda: ours.export(3), TypeError, "model: expected a layer or a model, got 3"),
    "cell": (lambda: ours.export(fastrnn.MinGRU(I, H)), ValueError, OURS + "MinGRU(4, 6)"),
    "cell with a context": (
        lambda: ours.export(fastrnn.SCRN(I, H)),
        ValueError,
        OURS + "SCRN(4, 6, context_size=1)",
    ),
    "cell of modules": (
        lambda: ours.export(fastrnn.ClockworkRNN(I, H, periods=(1, 2))),
        ValueError,
        OURS + "ClockworkRNN(4, 6, periods=(1, 2))",
    ),
    "zoneout": (
        lambda: ours.export(fastrnn.GRU(I, H, zoneout=0.1)),
        ValueError,
        OURS + "GRU(4, 6, zoneout=(0.1,))",
    ),
    "projection": (
        lambda: ours.export(fastrnn.LSTM(I, H, proj_size=2)),
        ValueError,
        OURS + "LSTM(4, 6, proj_size=2)",
    ),
    "layer": (
        lambda: ours.export(fastrnn.layers.Attention("dot", I, I)),
        ValueError,
        "model: expected layers that ONNX has, got Attention('dot', 4, 4)",
    ),
    "side by side": (
        lambda: ours.export(Concat(Embedding(3, I), Embedding(3, I))),
        ValueError,
        "model: expected an Embedding before layers side by side, "
        "got Concat(\n  0: Embedding(3, 4)\n  1: Embedding(3, 4)\n)",
    ),
    "axes": (
        lambda: ours.export(Concat(fastrnn.GRU(I, H), Pool("max"))),
        ValueError,
        "model: expected outputs with as many axes side by side, "
        "got Concat(\n  0: GRU(4, 6)\n  1: Pool('max')\n)",
    ),
    "float64": (
        lambda: ours.export(fastrnn.GRU(I, H, dtype="float64")),
        ValueError,
        "model: expected float32, got GRU(4, 6, dtype='float64')",
    ),
    "lengths": (
        lambda: ours.export(Linear(I, H), lengths=True),
        ValueError,
        "lengths: expected False for a model that is not recurrent, got True",
    ),
    "source": (lambda: ours.load(3), TypeError, "source: expected a path or an onnx.ModelProto, got 3"),
    "operator": (
        lambda: load(node("Softmax", ["x"])),
        ValueError,
        "graph: expected an operator that fastrnn has, got 'Softmax'",
    ),
    "nothing": (
        lambda: load(node("Identity", ["x"])),
        ValueError,
        "graph: expected at least one layer, got none",
    ),
    "branches": (
        lambda: load(node("Relu", ["x"], "a"), node("Tanh", ["x"], "b"), node("Add", ["a", "b"])),
        ValueError,
        "graph: expected a chain of layers, got 'Relu' and 'Tanh' that read 'x'",
    ),
    "product of two values": (
        lambda: load(node("Relu", ["x"], "a"), node("MatMul", ["a", "a"])),
        ValueError,
        "graph: expected a constant as input 1 of MatMul, got 'a'",
    ),
    "last state": (
        last_state,
        ValueError,
        "graph: expected a chain that ends in one of ['y'], got ''",
    ),
    "initial state": (
        lambda: begun(["", "h", "c"], **STATE),
        ValueError,
        "graph: expected initial states of LSTM that are an input, or zeros, got 'h'",
    ),
    "learned state": (
        lambda: begun(["", "h", "c"], node("Expand", ["p", "s"], "h"), **LEARNED),
        ValueError,
        "graph: expected initial states of LSTM that are an input, or zeros, got 'h'",
    ),
    "constant lengths": (
        lambda: begun(["n"], n=np.ones(B, np.int32)),
        ValueError,
        "graph: expected lengths of LSTM that are an input or none, got constant ones",
    ),
    "another axis": (
        lambda: begun([], axes=0),
        ValueError,
        "graph: expected what joins the directions of Y, got 'Squeeze'",
    ),
    "layout": (lambda: lstm(layout=1), ValueError, PLAIN + "{'layout': 1}"),
    "clip": (lambda: lstm(clip=3.0), ValueError, PLAIN + "{'clip': 3.0}"),
    "reverse": (lambda: lstm(direction="reverse"), ValueError, PLAIN + "another direction"),
    "activations": (
        lambda: lstm(activations=["HardSigmoid", "Tanh", "Tanh"]),
        ValueError,
        "graph: expected the usual activations of LSTM, got ['hardsigmoid', 'tanh', 'tanh']",
    ),
    "turned": (
        lambda: load(node("Transpose", ["x"], "a", perm=[1, 0, 2]), node("Relu", ["a"])),
        ValueError,
        "graph: expected the output turned around as the input is, got one that is not",
    ),
    "another turn": (
        lambda: load(node("Transpose", ["x"], perm=[2, 0, 1])),
        ValueError,
        "graph: expected Transpose of steps and rows, [1, 0, 2], got [2, 0, 1]",
    ),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)


def test_without_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        ImportError, match=r"^fastrnn.interop.onnx: needs onnx; pip install 'fastrnn\[onnx\]'$"
    ):
        ours.export(Linear(2, 2))
