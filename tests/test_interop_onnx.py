"""Models as ONNX graphs: ONNX Runtime gives what they give, reading gives the layers back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import checks
import numpy as np
import pytest
from conftest import peer
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrnn
from fastrnn.interop import onnx as ours
from fastrnn.layers import Activation, Add, Concat, Dropout, Embedding, Linear, Pool, Residual, Sequential

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("onnx")]
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


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("lengths", [None, [7, 2, 5]])
def test_side_by_side(turned: bool, lengths: Any) -> None:
    """Concat, Add and Residual, one in the other, before and behind pools."""
    options: dict[str, Any] = {"batch_first": turned}
    made = Sequential(
        Embedding(9, I, seed=1),
        Concat(
            fastrnn.GRU(I, H, **options, seed=2),
            Sequential(fastrnn.LSTM(I, H, bidirectional=True, **options, seed=3), Linear(2 * H, 3, seed=4)),
            Linear(I, 2, seed=5),
        ),
        Residual(Sequential(Linear(H + 5, H + 5, seed=6), Activation("tanh"))),
        Concat(Pool("max"), Sequential(Pool("last"), Linear(H + 5, 4, seed=7))),
        Add(
            Linear(H + 9, 6, seed=8),
            Sequential(Residual(Linear(H + 9, H + 9, seed=9)), Linear(H + 9, 6, seed=10)),
        ),
    )
    tokens = np.random.default_rng(1).integers(0, 9, (B, T) if turned else (T, B))
    want, _ = made(tokens, lengths=lengths)
    more = {} if lengths is None else {"lengths": np.array(lengths, np.int32)}
    graph = ours.export(made, lengths=bool(more))
    close(run(graph, x=tokens, **more)["y"], want)
    assert graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 6


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
