"""Every bad argument of the extension itself is named, with the rule and what came."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from errors import LAST_AXIS, READ_ONLY, STATE, STRIDED, TOKENS, WEIGHTS, B, Case, H, I, T, V, X, cast, check

from fastrnn import GRU, LSTM, _core

TABLE = np.zeros((V, I), np.float32)
W = np.zeros((V, I), np.float32)
BIAS = np.zeros(V, np.float32)
HC = (STATE[0], STATE[0])


def forward(
    x: Any = X, table: Any = None, weights: Any = WEIGHTS, state: Any = None, cell: Any = "lstm"
) -> Any:
    return _core.recurrent_forward(cell, x, table, weights, state, False, False)


def backward(**options: Any) -> Any:
    """Good arguments but for `options`."""
    y, _, saved = _core.recurrent_forward("lstm", X, None, WEIGHTS, None, False, True)
    grads = tuple(np.zeros_like(w) for w in WEIGHTS)
    good = {"saved": saved, "x": X, "table": None, "weights": WEIGHTS, "state": None, "y": y, "dy": y}
    return _core.recurrent_backward(
        **{**good, "dstate": None, "grads": grads, "dtable": None, "want_dx": True, **options}
    )


def with_weight(place: int, value: Any) -> tuple[Any, ...]:
    return (*WEIGHTS[:place], value, *WEIGHTS[place + 1 :])


RECURRENT: dict[str, Case] = {
    "float64": (lambda: forward(X.astype("f8")), TypeError, cast("x")),
    "int": (lambda: forward(TOKENS), TypeError, cast("x", came="int64")),
    "float16": (lambda: forward(X.astype("f2")), TypeError, cast("x", came="float16")),
    "big endian": (lambda: forward(X.astype(">f4")), TypeError, cast("x", came=">f4")),
    "object": (lambda: forward(X.astype(object)), TypeError, cast("x", came="object")),
    "list": (lambda: forward([1.0]), TypeError, "x: expected a NumPy array, got list"),
    "none": (lambda: forward(None), TypeError, "x: expected a NumPy array, got NoneType"),
    "rank": (lambda: forward(X[0]), ValueError, "x: expected shape (T, B, I), got (3, 5)"),
    "width": (
        lambda: forward(X[..., :3].copy()),
        ValueError,
        "x: expected shape (T, B, I) with axis 2 = 5, got (4, 3, 3)",
    ),
    "strided": (lambda: forward(STRIDED), ValueError, f"x: {LAST_AXIS}"),
    "no rows": (
        lambda: forward(X[:, :0]),
        ValueError,
        "x: expected at least one row (B >= 1), got (4, 0, 5)",
    ),
    "cell": (
        lambda: forward(cell="gruu"),
        ValueError,
        f"cell: expected one of {', '.join(_core.cells())}, got 'gruu'",
    ),
    "3 weights": (
        lambda: forward(weights=WEIGHTS[:3]),
        ValueError,
        "weights: expected 4 arrays (the biases may be None), got 3",
    ),
    "weights of a normalised cell": (
        lambda: forward(cell="lstm_norm"),
        ValueError,
        "weights: expected 9 arrays (the biases may be None), got 4",
    ),
    "gain none": (
        lambda: forward(weights=(*WEIGHTS, None, None, None, None, None), cell="lstm_norm"),
        TypeError,
        "gain_ih: expected a NumPy array, got NoneType",
    ),
    "gain": (
        lambda: forward(weights=(*WEIGHTS, None, BIAS, BIAS, BIAS, None), cell="lstm_norm"),
        ValueError,
        "gain_ih: expected shape (G*H,) = (24,), got (7,)",
    ),
    "gain of a GRU's state": (
        lambda: forward(
            weights=(*GRU(I, H).params.values(), None, *[np.zeros(18, "f4")] * 2, BIAS, None),
            cell="gru_norm",
        ),
        TypeError,
        "gain_ch: expected None for this cell, got an array",
    ),
    "weight none": (
        lambda: forward(weights=with_weight(1, None)),
        TypeError,
        "weight_hh: expected a NumPy array, got NoneType",
    ),
    "weight float64": (
        lambda: forward(weights=with_weight(1, WEIGHTS[1].astype("f8"))),
        TypeError,
        cast("weight_hh"),
    ),
    "weights swapped": (
        lambda: forward(weights=(WEIGHTS[1], WEIGHTS[0], None, None)),
        ValueError,
        "weight_ih: expected shape (G*H, I) = (20, 6), got (24, 6)",
    ),
    "bias": (
        lambda: forward(weights=with_weight(3, BIAS)),
        ValueError,
        "bias_hh: expected shape (G*H,) = (24,), got (7,)",
    ),
    "one state": (lambda: forward(state=HC[:1]), ValueError, "state: expected 2 arrays, got 1"),
    "state array": (
        lambda: forward(state=HC[0]),
        TypeError,
        "state: expected a tuple of 2 arrays, got ndarray",
    ),
    "state rows": (
        lambda: forward(state=(HC[0], HC[1][:1])),
        ValueError,
        "state[1]: expected shape (B, H) = (3, 6), got (1, 6)",
    ),
    "state float64": (lambda: forward(state=(HC[0].astype("f8"), HC[1])), TypeError, cast("state[0]")),
    "negative token": (
        lambda: forward(TOKENS - 1, TABLE),
        ValueError,
        "x: expected integers in [0, 7), got -1 at index (0, 0)",
    ),
    "float tokens": (lambda: forward(X[..., 0], TABLE), TypeError, "x: expected int32 or int64, got float32"),
    "short tokens": (
        lambda: forward(TOKENS.astype("i2"), TABLE),
        TypeError,
        "x: expected int32 or int64, got int16",
    ),
    "tokens rank": (
        lambda: forward(TOKENS[0], TABLE),
        ValueError,
        "x: expected tokens of shape (T, B), got (3,)",
    ),
    "table": (
        lambda: forward(TOKENS, TABLE[:, :2]),
        ValueError,
        "table: expected shape (V, I) with axis 1 = 5, got (7, 2)",
    ),
    "table float64": (lambda: forward(TOKENS, TABLE.astype("f8")), TypeError, cast("table")),
    "dy": (
        lambda: backward(dy=np.zeros((3, B, H), "f4")),
        ValueError,
        "dy: expected shape (T, B, H) = (4, 3, 6), got (3, 3, 6)",
    ),
    "dy float64": (lambda: backward(dy=np.zeros((T, B, H))), TypeError, cast("dy")),
    "other x": (
        lambda: backward(x=X[1:]),
        ValueError,
        "saved: expected the arrays of its forward call, got arrays of other shapes",
    ),
    "dstate": (
        lambda: backward(dstate=(HC[0], HC[0][:1])),
        ValueError,
        "dstate[1]: expected shape (B, H) = (3, 6), got (1, 6)",
    ),
    "grads": (lambda: backward(grads=(None,)), ValueError, "grads: expected 4 arrays or None, got 1"),
    "grad shape": (
        lambda: backward(grads=(W, None, None, None)),
        ValueError,
        "dweight_ih: expected shape of its weight = (24, 5), got (7, 5)",
    ),
    "grad read-only": (
        lambda: backward(grads=(np.broadcast_to(np.float32(0), (24, 5)), None, None, None)),
        ValueError,
        f"dweight_ih: {READ_ONLY}",
    ),
    "explain": (
        lambda: _core.explain("lstm", 0, 1, 1, 1, 1, "float32"),
        ValueError,
        "T: expected a positive integer, got 0",
    ),
}


@pytest.mark.parametrize("case", RECURRENT.values(), ids=RECURRENT)
def test_recurrent(case: Case) -> None:
    check(case)


def test_awkward_but_good_arrays() -> None:
    layer = LSTM(I, H, seed=1)
    x = np.random.default_rng(0).standard_normal((T, B, I)).astype("f4")
    want, _ = layer(x)
    x.flags.writeable = False
    wide = np.zeros((2 * T, B + 1, I + 3), "f4")
    wide[::2, 1:, 2 : 2 + I] = x
    raw = np.zeros(x.nbytes + 1, np.uint8)
    raw[1:] = np.frombuffer(x.tobytes(), np.uint8)
    unaligned = raw[1:].view("f4").reshape(x.shape)
    backwards = x[::-1, ::-1].copy()[::-1, ::-1]
    for other in (x, wide[::2, 1:, 2 : 2 + I], unaligned, backwards):
        np.testing.assert_array_equal(layer(other)[0], want)
