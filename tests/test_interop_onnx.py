"""Models as ONNX graphs: ONNX Runtime gives what they give, reading gives the layers back; bad input."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checks
import numpy as np
import pytest
from conftest import peer
from errors import Case, check
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrnn
from fastrnn.interop import onnx as ours
from fastrnn.layers import Activation, Dropout, Embedding, Linear, Pool, Sequential

pytestmark = pytest.mark.peer
T, B, I, H = 7, 3, 4, 6
CELLS: list[tuple[str, dict[str, Any]]] = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu"}),
    ("RNN", {"nonlinearity": "sigmoid"}),
    ("RNN", {"nonlinearity": "identity"}),
    ("LSTM", {}),
    ("LSTM", {"peephole": "diagonal"}),
    ("LSTM", {"coupled": True}),
    ("GRU", {}),
    ("GRU", {"reset": "before"}),
]
KINDS = pytest.mark.parametrize("cell", CELLS, ids=str)


@pytest.fixture(autouse=True)
def onnx() -> Any:
    """A failure instead of a skip where peers are wanted."""
    peer("onnxruntime")
    return peer("onnx")


def layer(cell: tuple[str, dict[str, Any]], **more: Any) -> Any:
    """A recurrent layer."""
    kind, options = cell
    return getattr(fastrnn, kind)(I, H, seed=1, **options, **more)


def run(graph: Any, **inputs: Any) -> dict[str, np.ndarray]:
    """By ONNX Runtime, which also looks at the shapes that the graph states."""
    runtime = peer("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(graph.SerializeToString(), options, ["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def close(got: np.ndarray, want: np.ndarray) -> None:
    """As two libraries in float32, and in the same shape."""
    assert got.shape == want.shape
    checks.close(got, want, "peer")


def x(*shape: int) -> np.ndarray:
    """Random float32."""
    return np.random.default_rng(2).standard_normal(shape).astype(np.float32)


@KINDS
@settings(max_examples=12, deadline=None)
@given(
    levels=st.integers(1, 3),
    two=st.booleans(),
    turned=st.booleans(),
    bias=st.booleans(),
    steps=st.integers(1, 6),
    rows=st.integers(1, 4),
)
def test_layers(cell: Any, levels: int, two: bool, turned: bool, bias: bool, steps: int, rows: int) -> None:
    made = layer(cell, num_layers=levels, bidirectional=two, batch_first=turned, bias=bias)
    graph = ours.export(made, states=True)
    data = x(rows, steps, I) if turned else x(steps, rows, I)
    first = tuple(x(levels * made.directions, rows, H) for _ in made.states)
    want, last = made(data, first)
    got = run(graph, x=data, **{f"{s}0": a for s, a in zip(made.states, first, strict=True)})
    close(got["y"], want)
    for state, final in zip(made.states, last, strict=True):
        close(got[f"{state}n"], final)
    (back,) = ours.load(graph).children.values()
    assert repr(back) == repr(made)
    for name, a in made.params.items():
        checks.same_bits(back.params[name], a, name)


@KINDS
@pytest.mark.parametrize("two", [False, True])
def test_lengths(cell: Any, two: bool) -> None:
    made, lengths = layer(cell, num_layers=2, bidirectional=two), np.array([7, 2, 5], np.int32)
    want, _ = made(x(T, B, I), lengths=lengths)
    close(run(ours.export(made, lengths=True), x=x(T, B, I), lengths=lengths)["y"], want)


@pytest.mark.parametrize("kind", ["last", "mean", "max"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("lengths", [None, [7, 2, 5]])
def test_models(kind: str, turned: bool, two: bool, lengths: Any) -> None:
    width = H * (1 + two)
    made = Sequential(
        Embedding(9, I, seed=1),
        Dropout(0.5),
        fastrnn.GRU(I, H, bidirectional=two, batch_first=turned, seed=2),
        fastrnn.LSTM(width, H, 2, bidirectional=two, dropout=0.2, batch_first=turned, seed=3),
        Pool(kind, bidirectional=two),
        Linear(width, 5, seed=4),
        Activation("tanh"),
        Linear(5, 2, bias=False, seed=5),
    )
    tokens = np.random.default_rng(1).integers(0, 9, (B, T) if turned else (T, B))
    want, _ = made(tokens, lengths=lengths)
    more = {} if lengths is None else {"lengths": np.array(lengths, np.int32)}
    close(run(ours.export(made, lengths=bool(more)), x=tokens, **more)["y"], want)


def test_states_of_several_layers() -> None:
    made = Sequential(fastrnn.GRU(I, H, seed=1), fastrnn.LSTM(H, H, seed=2))
    h, c = x(1, B, H), -x(1, B, H)
    want, last = made(x(T, B, I), ((h,), (h, c)))
    got = run(ours.export(made, states=True), x=x(T, B, I), h0_0=h, h0_1=h, c0_1=c)
    close(got["y"], want)
    close(got["hn_0"], last[0][0])
    close(got["cn_1"], last[1][1])


@pytest.mark.parametrize(
    "make",
    [
        lambda: fastrnn.LanguageModel(fastrnn.data.Vocabulary("abcdef"), 8, 2, seed=1),
        lambda: fastrnn.SequenceTagger([["a", "b"]], [["X", "Y"]], 8, seed=1),
        lambda: fastrnn.SequenceClassifier([["a", "b"]], ["X", "Y"], 8, seed=1),
    ],
)
def test_logits(make: Callable[[], Any]) -> None:
    made = make()
    tokens = np.random.default_rng(1).integers(0, 3, (T, B))
    h, _ = made.body(tokens)
    close(run(ours.export(made), x=tokens)["y"], made.head.logits(h))


def test_rows_of_numbers(tmp_path: Path) -> None:
    made = fastrnn.MLP(3, ["a", "b", "c"], hidden=(5, 4), seed=1)
    ours.save(made, tmp_path / "mlp.onnx")
    want = made.head.logits(made.body(x(11, 3)))
    close(run(ours.export(made), x=x(11, 3))["y"], want)
    close(ours.load(tmp_path / "mlp.onnx")(x(11, 3)), want)


def test_a_chain_is_read_back(tmp_path: Path) -> None:
    made = Sequential(
        Embedding(9, I, seed=1),
        fastrnn.GRU(I, H, 2, bidirectional=True, batch_first=True, seed=2),
        Activation("sigmoid"),
        fastrnn.LSTM(2 * H, H, batch_first=True, bias=False, seed=3),
        Linear(H, 5, seed=4),
    )
    ours.save(made, tmp_path / "model.onnx", lengths=True)
    loaded = ours.load(tmp_path / "model.onnx")
    assert repr(loaded) == repr(made)
    tokens = np.random.default_rng(1).integers(0, 9, (B, T))
    checks.same_bits(loaded(tokens)[0], made(tokens)[0])
    with pytest.raises(OSError, match="onnx: cannot read"):
        ours.load(tmp_path / "nothing.onnx")
    (tmp_path / "text").write_text("no graph")
    with pytest.raises(ValueError, match=r"^onnx: expected an ONNX file, got '.*text': "):
        ours.load(tmp_path / "text")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("two", [False, True])
def test_what_torch_exports(two: bool, tmp_path: Path) -> None:
    """By its older exporter; the newer one wants another package."""
    torch = peer("torch")

    class Tagger(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(I, H, 2, bidirectional=two)
            self.head = torch.nn.Linear(H * (1 + two), 3)

        def forward(self, data: Any) -> Any:
            return torch.relu(self.head(self.lstm(data)[0]))

    model, data = Tagger().eval(), x(T, B, I)
    path = tmp_path / "torch.onnx"
    torch.onnx.export(model, (torch.from_numpy(data),), path, dynamo=False, input_names=["x"])
    close(ours.load(path)(data)[0], model(torch.from_numpy(data)).detach().numpy())


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


def test_initial_states_of_zero_are_no_matter() -> None:
    zeros = node("Expand", ["z", "s"], "h"), node("ConstantOfShape", ["s"], "c")
    loaded = begun(["", "h", "c"], *zeros, z=np.zeros(1, np.float32), s=np.array([1, B, H]))
    assert loaded(x(T, B, I))[0].shape == (T, B, H)


OURS = "model: expected cells that ONNX has, without zoneout, got "
PLAIN = "graph: expected LSTM forward or bidirectional, and no more, got "
ERRORS: dict[str, Case] = {
    "no model": (lambda: ours.export(3), TypeError, "model: expected a layer or a model, got 3"),
    "cell": (lambda: ours.export(fastrnn.MinGRU(I, H)), ValueError, OURS + "MinGRU(4, 6)"),
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
        lambda: ours.export(fastrnn.AttentionPool(I)),
        ValueError,
        "model: expected layers that ONNX has, got AttentionPool(4)",
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
