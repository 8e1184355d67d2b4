"""Models that are more than a chain of layers, as ONNX graphs: ONNX Runtime gives what they give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from errors import Case, check
from test_interop_onnx import close, run, x

import fastrnn
from fastrnn.batches import Asked, Rows
from fastrnn.data import Vocabulary
from fastrnn.interop import onnx as ours
from fastrnn.layers import Activation, AttentionPool, ConvMax, Embedding, Linear, Pool, Sequential
from fastrnn.windows import Past

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("onnx")]
SENTENCES = [
    ["Ann", "sees", "a", "dog"],
    ["dogs"],
    ["a", "Cat", "sleeps"],
    ["a", "dog", "Barks", "at", "Ann"],
]
TAGS = [["N", "V", "D", "N"], ["N"], ["D", "N", "V"], ["D", "N", "V", "P", "N"]]
UNSEEN = [["cats"], ["Ann", "and", "the", "dog", "sleep"], ["a", "a"]]
CELLS = ["LSTM", "GRU", "RNN"]


@pytest.fixture
def source(rng: np.random.Generator) -> Rows:
    """Numbers of tokens, of rows with unlike lengths."""
    return Rows(rng.integers(0, 6, (7, 3)).astype(np.int32), np.array([7, 2, 5]))


@pytest.mark.parametrize("lengths", [None, [7, 0, 5]])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("width", [1, 2, 5, 9])
def test_filters(width: int, turned: bool, lengths: Any) -> None:
    """Wider than the rows, and over rows without steps, too."""
    made = ConvMax(4, 5, width, batch_first=turned, seed=1)
    data, more = x(3, 7, 4) if turned else x(7, 3, 4), {}
    if lengths is not None:
        more = {"lengths": np.array(lengths, np.int32)}
    close(run(ours.export(made, lengths=bool(more)), x=data, **more)["y"], made(data, **more))


@pytest.mark.parametrize("lengths", [None, [7, 0, 5]])
@pytest.mark.parametrize("turned", [False, True])
def test_attention_over_steps(turned: bool, lengths: Any) -> None:
    made = AttentionPool(4, batch_first=turned, seed=1)
    made.params["bias"][:] = x(4)
    data, more = x(3, 7, 4) if turned else x(7, 3, 4), {}
    if lengths is not None:
        more = {"lengths": np.array(lengths, np.int32)}
    close(run(ours.export(made, lengths=bool(more)), x=data, **more)["y"], made(data, **more))


@pytest.mark.parametrize("pooling", ["attention", "max"])
def test_classifier(pooling: str) -> None:
    made = fastrnn.SequenceClassifier(SENTENCES, list("abba"), 6, pooling=pooling, seed=1)
    got = run(ours.export(made, lengths=True), **ours.inputs(made, UNSEEN))["y"]
    close(np.exp(log_softmax(got)), made.predict_proba(UNSEEN))


def test_window_language_model(rng: np.random.Generator) -> None:
    made = fastrnn.WindowLanguageModel(
        Vocabulary("abcdef"), 3, embedding_size=4, hidden_size=5, dropout=0.2, embedding_dropout=0.1, seed=1
    )
    tokens = rng.integers(0, 6, (8, 3))
    close(run(ours.export(made), x=tokens)["y"], made.head.logits(made._run(tokens.astype(np.int32))))


@pytest.mark.parametrize("join", ["concatenate", "gate"])
@pytest.mark.parametrize("characters", ["CNN", *CELLS])
@pytest.mark.parametrize("cell", ["GRU", None])
def test_spelled_tagger(characters: str, join: str, cell: Any) -> None:
    """Its graph tags sentences of words that were never seen as the model does."""
    options: dict[str, Any] = {"characters": characters, "join": join, "cell": cell}
    made = fastrnn.SequenceTagger(
        SENTENCES,
        TAGS,
        6,
        embedding_size=5,
        character_options={"hidden_size": 4, "widths": (2, 3)},
        dropout=0.3,
        embedding_dropout=0.1,
        seed=1,
        **options,
    )
    given = ours.inputs(made, UNSEEN)
    lengths = given["lengths"] if cell else given.pop("lengths")
    if cell is None:
        given |= {name: given[name].reshape(-1) for name in ("x", "places")}
    y = run(ours.export(made, lengths=cell is not None), **given)["y"].reshape(5, 3, -1)
    want = made.predict_proba(UNSEEN)
    for row, (length, of_row) in enumerate(zip(lengths, want, strict=True)):
        close(np.exp(log_softmax(y[:length, row])), of_row)


@pytest.mark.parametrize(
    "options", [{}, {"known": 2}, {"targets": [2, 0]}, {"autoregressive": False}], ids=str
)
@pytest.mark.parametrize("two", [False, True])
def test_forecaster(options: dict[str, Any], two: bool, rng: np.random.Generator) -> None:
    """In the units of a series that is large and hardly moves."""
    made = fastrnn.Forecaster(
        3,
        8,
        4,
        hidden_size=5,
        dropout=0.1,
        cell="GRU",
        cell_options={"bidirectional": two},
        seed=1,
        **options,
    )
    series = 1e6 + np.cumsum(rng.standard_normal((60, 3)), axis=0)
    known = rng.standard_normal((60, 2)) if made.known else None
    made.fit(series, known, epochs=2, progress=False)
    graph = ours.export(made)
    starts, more = (0, 20, 48), {}
    if known is not None:
        more["known"] = np.stack([known[at : at + 12] for at in starts]).astype(np.float32)
    got = run(graph, x=np.stack([series[at : at + 8] for at in starts]), **more)["y"]
    for row, at in enumerate(starts):
        want = made.predict(series[: at + 8], None if known is None else known[at : at + 12])
        assert got[row].shape == want.shape
        np.testing.assert_allclose(got[row], want, rtol=0, atol=1e-4)  # deviations of the series are some 5
    assert np.ptp(got) > 1e-2


@pytest.mark.parametrize("attention", ["dot", "general", "additive"])
@pytest.mark.parametrize("lengths", [False, True])
def test_span_finder(attention: str, lengths: bool, source: Rows, rng: np.random.Generator) -> None:
    made = fastrnn.SpanFinder([list("abcdef")], 4, attention=attention, dropout=0.2, seed=1)
    long = source.lengths if lengths else np.full(3, 7)
    question = Rows(
        rng.integers(0, 6, (4, 3)).astype(np.int32), np.array([1, 4, 3]) if lengths else np.full(3, 4)
    )
    want = made._run(Asked(Rows(source.tokens, long), question))
    more = {}
    if lengths:
        more = {
            "text_lengths": long.astype(np.int32),
            "question_lengths": question.lengths.astype(np.int32),
        }
    graph = ours.export(made, lengths=lengths)
    got = run(graph, text=source.tokens.astype(np.int64), question=question.tokens.astype(np.int64), **more)
    assert np.isneginf(want).any() == lengths
    np.testing.assert_array_equal(np.isneginf(got["y"]), np.isneginf(want))
    close(np.where(np.isneginf(want), 0, got["y"]), np.where(np.isneginf(want), 0, want))


def decoded(model: Any, state: Any, memory: Any, target: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Log-probabilities after each token, and weights, by the steps of the model's own search."""
    found, weights = [], []
    for tokens in target:
        scores, state, looked = model.step(tokens, state, memory)
        found.append(scores)
        weights.append(looked)
    return np.stack(found), weights


def log_softmax(z: np.ndarray) -> np.ndarray:
    """Of logits."""
    wide = z.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    return (wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True))).astype(np.float32)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("attention", [None, "dot", "general", "additive"])
@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_translation(
    cell: str, two: bool, attention: Any, lengths: bool, tied: bool, source: Rows, rng: np.random.Generator
) -> None:
    """The logits of a whole output at once are those of the steps of a search."""
    words = [list("abcdef")]
    made = fastrnn.Seq2Seq(
        words,
        words,
        6,
        2,
        embedding_size=5,
        cell=cell,
        bidirectional=two,
        attention=attention,
        tied=tied,
        seed=1,
    )
    rows = Rows(source.tokens, source.lengths if lengths else np.full(3, 7))
    target = rng.integers(0, 6, (4, 3)).astype(np.int32)
    target[0] = made.end()
    memory, state = made.read(rows)
    want, weights = decoded(made, state, memory, target)
    more = {"source_lengths": rows.lengths.astype(np.int32)} if lengths else {}
    graph = ours.export(made, lengths=lengths)
    got = run(graph, source=rows.tokens.astype(np.int64), target=target.astype(np.int64), **more)
    close(log_softmax(got["y"]), want)
    assert ("weights" in got) == (attention is not None)
    if attention is not None:
        close(got["weights"], np.stack(weights, axis=1))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("tied", [False, True])
def test_captions(cell: str, levels: int, tied: bool, rng: np.random.Generator) -> None:
    words = [list("abcdef")]
    encoder = Sequential(Linear(5, 7, seed=2), Activation("relu"), Linear(7, 4, seed=3))
    made = fastrnn.Captioner(encoder, 4, words, 6, levels, embedding_size=5, cell=cell, tied=tied, seed=1)
    target = rng.integers(0, 6, (4, 3)).astype(np.int32)
    memory, state = made.read(x(3, 5))
    want, _ = decoded(made, state, memory, target)
    close(log_softmax(run(ours.export(made), x=x(3, 5), target=target.astype(np.int64))["y"]), want)


def test_captions_of_sequences(rng: np.random.Generator) -> None:
    """The encoder is recurrent, and has rows first."""
    encoder = Sequential(Embedding(9, 5, seed=2), fastrnn.GRU(5, 4, batch_first=True, seed=3), Pool("last"))
    made = fastrnn.Captioner(encoder, 4, [list("abcdef")], 6, seed=1)
    tokens, target = rng.integers(0, 9, (3, 8)), rng.integers(0, 6, (4, 3))
    memory, state = made.read(tokens)
    want, _ = decoded(made, state, memory, target.astype(np.int32))
    close(log_softmax(run(ours.export(made), x=tokens, target=target)["y"]), want)


def tagger(**options: Any) -> Any:
    """A small one."""
    return fastrnn.SequenceTagger(SENTENCES, TAGS, 4, seed=1, **options)


ERRORS: dict[str, Case] = {
    "unfitted": (
        lambda: ours.export(fastrnn.Forecaster(2, 8, 4)),
        ValueError,
        "model: expected a fitted Forecaster, got one without scaling; call fit first",
    ),
    "lengths of windows": (
        lambda: ours.export(fastrnn.WindowLanguageModel(Vocabulary("ab")), lengths=True),
        ValueError,
        "lengths: expected False for a model that is not recurrent, got True",
    ),
    "states": (
        lambda: ours.export(fastrnn.Seq2Seq([["a"]], [["b"]], 4), states=True),
        ValueError,
        "states: expected False for a Seq2Seq, got True",
    ),
    "states of no layer": (
        lambda: ours.export(Linear(2, 3), states=True),
        ValueError,
        "states: expected False for a Linear, got True",
    ),
    "states of a tagger without layers": (
        lambda: ours.export(tagger(characters="CNN", cell=None), states=True),
        ValueError,
        "states: expected False for a SequenceTagger, got True",
    ),
    "cell": (
        lambda: ours.export(fastrnn.SpanFinder([["a"]], 4, cell="MinGRU")),
        ValueError,
        "model: expected cells that ONNX has, without zoneout, got MinGRU(4, 4, bidirectional=True)",
    ),
    "float64": (
        lambda: ours.export(tagger(characters="CNN", dtype="float64")),
        ValueError,
        "model: expected float32, got LSTM(79, 4, bidirectional=True, dtype='float64')",
    ),
    "inputs of another model": (
        lambda: ours.inputs(Linear(2, 3), SENTENCES),
        TypeError,
        "model: expected a SequenceTagger or SequenceClassifier, got Linear",
    ),
    "no sentences": (
        lambda: ours.inputs(tagger(), []),
        ValueError,
        "x: expected at least one sequence, got none",
    ),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)


def test_forecasts_of_the_rows_of_a_batch(rng: np.random.Generator) -> None:
    """Each is that of its window, as the model runs them side by side."""
    made = fastrnn.Forecaster(2, 6, 3, hidden_size=4, seed=1)
    series = rng.standard_normal((40, 2))
    made.fit(series, epochs=1, progress=False)
    rows = np.stack([series[at : at + 6] for at in range(5)])
    got = run(ours.export(made), x=rows)["y"]
    past = Past(made._scaled("x", rows).transpose(1, 0, 2), None)
    np.testing.assert_allclose(got, made._restore(made._run(past).astype(np.float64)), rtol=0, atol=1e-5)
