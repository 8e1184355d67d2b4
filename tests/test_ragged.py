"""Rows of unlike lengths: the same as each row alone, whatever the order; and prepared weights."""

from __future__ import annotations

from typing import Any

import checks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_states

import fastrnn
from fastrnn import _core
from fastrnn.layers.ragged import Ragged

KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "rnn": (fastrnn.RNN, {}),
    "lstm": (fastrnn.LSTM, {}),
    "projected": (fastrnn.LSTM, {"proj_size": 7}),
    "coupled": (fastrnn.LSTM, {"coupled": True}),
    "peephole": (fastrnn.LSTM, {"peephole": "diagonal"}),
    "full peephole": (fastrnn.LSTM, {"peephole": "full"}),
    "gru": (fastrnn.GRU, {}),
    "reset before": (fastrnn.GRU, {"reset": "before"}),
    "relu": (fastrnn.RNN, {"nonlinearity": "relu"}),
    "normalised lstm": (fastrnn.LSTM, {"layer_norm": "all"}),
    "normalised gru": (fastrnn.GRU, {"layer_norm": "gate"}),
    "min_gru": (fastrnn.MinGRU, {}),
    "min_lstm": (fastrnn.MinLSTM, {}),
    "scrn": (lambda i, h, *n, **o: fastrnn.SCRN(i, h, 7, *n, **o), {"alpha": 0.8, "learn_alpha": True}),
    "clockwork": (fastrnn.ClockworkRNN, {"periods": (2, 3, 4), "module_sizes": (9, 4, 6)}),
}
T, B, I, H = 37, 9, 5, 19


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random float32."""
    return rng.standard_normal(shape).astype(np.float32)


def make(rng: np.random.Generator, kind: str, layers: int, **options: Any) -> tuple[Any, ...]:
    """A layer, input, states, and gradients of y and of the final states."""
    cls, more = KINDS[kind]
    layer = cls(I, H, layers, seed=1, **more, **options)
    first, last = (random_states(rng, layer, B, np.float32) for _ in range(2))
    return layer, normal(rng, T, B, I), first, normal(rng, T, B, layer.output_size * layer.directions), last


def run(layer: Any, x: Any, state: Any, dy: Any, dlast: Any, lengths: Any = None) -> dict[str, np.ndarray]:
    """Everything that a call and its pullback give."""
    layer.zero_grad()
    (y, final), pullback = layer.vjp(x, state, lengths, key=3)
    dx, dfirst = pullback(dy, dlast)
    found = {"y": y, "dx": dx, "grads": layer.flat_grads.copy()}
    for k in range(len(final)):
        found |= {f"final {k}": final[k], f"dfirst {k}": dfirst[k]}
    return found


def one_row(found: dict[str, np.ndarray], b: int, length: int) -> dict[str, np.ndarray]:
    """What belongs to one row of the batch."""
    return {
        name: a[:length, b : b + 1] if name in ("y", "dx") else a[:, b : b + 1]
        for name, a in found.items()
        if name != "grads"
    }


def equal(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    """Bit for bit."""
    assert found.keys() == wanted.keys()
    for name, want in wanted.items():
        checks.same_bits(np.ascontiguousarray(found[name]), np.ascontiguousarray(want))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_each_row_is_as_if_alone(
    rng: np.random.Generator, kind: str, layers: int, bidirectional: bool
) -> None:
    layer, x, state, dy, dlast = make(rng, kind, layers, bidirectional=bidirectional)
    lengths = rng.integers(0, T + 1, B)
    lengths[[2, 4]] = 0, T
    found = run(layer, x, state, dy, dlast, lengths)
    total = np.zeros_like(found["grads"], np.float64)
    for b, n in enumerate(lengths):
        row = slice(b, b + 1)
        first, last = (tuple(a[:, row] for a in part) for part in (state, dlast))
        alone = run(layer, x[:n, row], first, dy[:n, row], last)
        equal(one_row(found, b, n), {name: a for name, a in alone.items() if name != "grads"})
        total += alone["grads"]
        assert not found["y"][n:, b].any()
        assert not found["dx"][n:, b].any()
    checks.close(found["grads"], total, "gradient")


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("noise", [{}, {"recurrent_dropout": 0.3, "zoneout": 0.2}])
@pytest.mark.parametrize("kind", KINDS)
def test_full_lengths_are_none(
    rng: np.random.Generator, kind: str, noise: Any, bidirectional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit: places that are looked up would give what is read where it lies."""
    if kind not in ("rnn", "lstm", "projected", "coupled", "gru", "reset before"):
        noise = {}
    layer, *arrays = make(rng, kind, 2, bidirectional=bidirectional, dropout=0.4, **noise)
    full, want = np.full(B, T), run(layer, *arrays)
    assert Ragged.of(full, (T, B, I), False) is None
    equal(run(layer, *arrays, full), want)
    monkeypatch.setattr(Ragged, "of", Ragged)
    equal(run(layer, *arrays, full), want)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("kind", KINDS)
def test_threads_change_nothing(rng: np.random.Generator, kind: str) -> None:
    layer, *arrays = make(rng, kind, 2, bidirectional=True)
    lengths = rng.integers(0, T + 1, B)
    runs = []
    for count in (1, 2, 7):
        fastrnn.set_num_threads(count)
        runs.append(run(layer, *arrays, lengths))
    for other in runs[1:]:
        equal(other, runs[0])


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.lists(st.integers(0, 12), min_size=1, max_size=6),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_any_lengths(kind: str, lengths: list[int], batch_first: bool, seed: int) -> None:
    rng, (cls, more) = np.random.default_rng(seed), KINDS[kind]
    layer = cls(3, H, bidirectional=True, batch_first=batch_first, seed=0, **more)
    x = normal(rng, 12, len(lengths), 3)
    turned = np.ascontiguousarray(x.swapaxes(0, 1)) if batch_first else x
    y, states = layer(turned, None, np.array(lengths))
    y = y.swapaxes(0, 1) if batch_first else y
    for b, n in enumerate(lengths):
        alone = turned[b : b + 1, :n] if batch_first else turned[:n, b : b + 1]
        want, last = layer(alone)
        checks.same_bits(y[:n, b].copy(), (want[0] if batch_first else want[:, 0]).copy())
        for whole, one in zip(states, last, strict=True):
            checks.same_bits(whole[:, b].copy(), one[:, 0].copy())


def test_tokens_and_models(rng: np.random.Generator) -> None:
    model = fastrnn.Sequential(
        fastrnn.Embedding(7, I, seed=0),
        fastrnn.LSTM(I, H, bidirectional=True, seed=1),
        fastrnn.Linear(2 * H, 3, seed=2),
    )
    tokens, lengths = rng.integers(0, 7, (T, B)), rng.integers(1, T + 1, B)
    dy = normal(rng, T, B, 3)
    (y, _), pullback = model.vjp(tokens, None, lengths)
    model.zero_grad()
    pullback(dy)
    joined = model.flat_grads.copy()
    embedding, lstm, head = model.children.values()
    model.zero_grad()
    x, to_table = embedding.vjp(tokens)
    (hidden, _), to_x = lstm.vjp(x, None, lengths)
    want, to_hidden = head.vjp(hidden)
    checks.close(y, want, "forward")
    to_table(to_x(to_hidden(dy))[0])
    checks.close(joined, model.flat_grads, "gradient")


LENGTHS: list[tuple[Any, type[Exception], str]] = [
    ([1, 2], ValueError, f"lengths: expected shape (B,) = ({B},), got (2,)"),
    ([-1] * B, ValueError, f"lengths: expected numbers in [0, T = {T}], got -1"),
    ([T + 1] * B, ValueError, f"lengths: expected numbers in [0, T = {T}], got {T + 1}"),
    ([1.5] * B, TypeError, "lengths: expected an array of ints, got list"),
    ("many", TypeError, "lengths: expected an array of ints, got 'many'"),
]


@pytest.mark.parametrize(("lengths", "kind", "message"), LENGTHS)
def test_wrong_lengths(rng: np.random.Generator, lengths: Any, kind: type, message: str) -> None:
    layer, x, *_ = make(rng, "lstm", 1)
    with pytest.raises(kind) as raised:
        layer(x, None, lengths)
    assert str(raised.value) == message
    with pytest.raises(ValueError, match="not recurrent"):
        fastrnn.Sequential(fastrnn.Linear(I, 2))(x, lengths=[1] * B)


def test_wrong_lengths_of_the_extension() -> None:
    w = (np.zeros((4, 1), "f4"), np.zeros((4, 1), "f4"), None, None)
    for lengths, message in (
        ([1, 2], "descending"),
        ([2, -1], "descending"),
        ([], "B >= 1"),
        ([2, 1], "N, I"),
    ):
        with pytest.raises(ValueError, match=message):
            _core.recurrent_forward(
                "lstm",
                np.zeros((4, 1), "f4"),
                None,
                w,
                None,
                False,
                False,
                False,
                None,
                np.array(lengths, np.int64),
            )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_prepared_steps_are_the_sequence(
    rng: np.random.Generator, kind: str, layers: int, dtype: str
) -> None:
    cls, more = KINDS[kind]
    layer = cls(I, H, layers, seed=1, dtype=dtype, **more)
    x = normal(rng, 6, 3, I).astype(dtype)
    state = random_states(rng, layer, 3, dtype)
    want, last = layer(x, state)
    prepared = layer.prepare()
    layer.flat_params[:] = 0  # it keeps what it was made of
    whole, found = prepared(x, state)
    checks.same_bits(whole.copy(), want.copy())
    for a, b in zip(found, last, strict=True):
        checks.same_bits(a.copy(), b.copy())
    for t in range(len(x)):
        y, state = prepared.step(x[t], state)
        checks.same_bits(y.copy(), want[t].copy())
    for a, b in zip(state, last, strict=True):
        checks.same_bits(a.copy(), b.copy())


def test_prepared_refuses() -> None:
    with pytest.raises(ValueError, match=r"bidirectional: expected False"):
        fastrnn.LSTM(2, 3, bidirectional=True).prepare()
    prepared = fastrnn.LSTM(2, 3).prepare()
    with pytest.raises(ValueError, match=r"x: expected shape \(B, I\), got \(1, 1, 2\)"):
        prepared.step(np.zeros((1, 1, 2), "f4"))
    with pytest.raises(ValueError, match="x: expected shape"):
        prepared.step(np.zeros((1, 5), "f4"))
    with pytest.raises(TypeError, match="x: "):
        prepared.step(np.zeros((1, 2)))
    with pytest.raises(TypeError, match="state: expected a tuple"):
        prepared.step(np.zeros((1, 2), "f4"), np.zeros(3))


def test_more_rows_than_memory_has() -> None:
    """An array of lengths that is larger than it looks is refused before it is read."""
    many = np.lib.stride_tricks.as_strided(np.array([3]), (2**50,), (0,))
    weights = (np.zeros((16, 3), np.float32), np.zeros((16, 4), np.float32), None, None)
    with pytest.raises(
        ValueError, match=r"^lengths: expected fewer than 2\*\*31 rows, got \(1125899906842624,\)$"
    ):
        _core.recurrent_forward(
            "lstm", np.zeros((6, 3), np.float32), None, weights, None, False, True, lengths=many
        )


def test_take(rng: np.random.Generator, dtype: np.dtype) -> None:
    """Rows of a matrix, and zeros for places below 0; both may be parts of wider ones."""
    wide, places = rng.standard_normal((500, 90)).astype(dtype), rng.integers(-1, 500, 700)
    for table in (wide, wide[:, 3:80], wide[::-2][:, :77]):
        at = np.minimum(places, len(table) - 1)
        whole = np.full((len(at), table.shape[1] + 2), 5, dtype)
        _core.take(table, at, whole[:, 1:-1])
        checks.same_bits(whole[:, 1:-1].copy(), np.where(at[:, None] < 0, 0, table[at]).astype(dtype))
        assert (whole[:, [0, -1]] == 5).all()
    _core.take(wide, np.zeros(0, np.int64), np.zeros((0, 90), dtype))


def test_columns_that_do_not_lie_together(rng: np.random.Generator) -> None:
    """Rows are gathered from x and dy anyway."""
    layer, x, state, dy, dlast = make(rng, "gru", 1)
    lengths = rng.integers(0, T + 1, B)
    spread = [np.repeat(a, 2, axis=2)[..., ::2] for a in (x, dy)]
    assert not any(a.flags.c_contiguous for a in spread)
    want = run(layer, x, state, dy, dlast, lengths)
    equal(run(layer, spread[0], state, spread[1], dlast, lengths), want)


def test_errors_of_take() -> None:
    table, places, to = np.zeros((3, 2)), np.array([0, 2]), np.zeros((2, 2))
    read_only = to.copy()
    read_only.flags.writeable = False
    wrong: list[tuple[Any, Any, Any, str]] = [
        (table, np.array([0, 3]), to, "places: expected numbers below M = 3, got 3"),
        (table, places[None], to, "places: expected a contiguous int64 array of shape (N,), got (1, 2)"),
        (table, np.arange(4)[::2], to, "places: expected a contiguous int64 array of shape (N,), got (2,)"),
        (table, places, np.zeros((3, 2)), "to: expected shape (N, C) with axis 0 = 2, got (3, 2)"),
        (np.zeros((3, 3)), places, to, "table: expected shape (M, C) with axis 1 = 2, got (3, 3)"),
        (table, places, read_only, "to: expected a writable array, got a read-only one"),
        (
            table,
            places,
            np.zeros(33, "u1")[1:].view("f8").reshape(2, 2),
            "to: expected an aligned array, got an unaligned one",
        ),
    ]
    for source, at, target, message in wrong:
        with pytest.raises(ValueError) as raised:  # noqa: PT011
            _core.take(source, at, target)
        assert str(raised.value) == message
