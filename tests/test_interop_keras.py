"""Weights of Keras: its layers, on its torch backend, give what ours give, both ways; bad input."""

from __future__ import annotations

import os
from typing import Any

import checks
import numpy as np
import pytest
from conftest import peer
from errors import Case, check

import fastrnn
from fastrnn.interop import keras as ours

T, B, I, H = 5, 3, 4, 6
CELLS: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("RNN", {}, "SimpleRNN", {}),
    ("RNN", {"nonlinearity": "relu"}, "SimpleRNN", {"activation": "relu"}),
    ("LSTM", {}, "LSTM", {}),
    ("GRU", {}, "GRU", {"reset_after": True}),
    ("GRU", {"reset": "before"}, "GRU", {"reset_after": False}),
]


def pair(cell: Any, levels: int, two: bool, bias: bool) -> tuple[Any, list[Any]]:
    """Our layer, and theirs for each of its levels."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    peer("torch")
    keras = peer("keras")
    name, options, their_name, their_options = cell
    made = getattr(fastrnn, name)(
        I, H, levels, bidirectional=two, bias=bias, batch_first=True, seed=3, **options
    )
    theirs = []
    for level in range(levels):
        one = getattr(keras.layers, their_name)(H, return_sequences=True, use_bias=bias, **their_options)
        one = keras.layers.Bidirectional(one) if two else one
        one.build((None, None, H * (1 + two) if level else I))
        theirs.append(one)
    return made, theirs


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_both_ways(rng: np.random.Generator, cell: Any, levels: int, two: bool, bias: bool) -> None:
    made, theirs = pair(cell, levels, two, bias)
    x = rng.standard_normal((B, T, I)).astype(np.float32)

    def check_equal() -> None:
        y: Any = x
        for one in theirs:
            y = one(y)
        checks.close(made(x)[0], np.asarray(y.detach()), "peer")

    for one, weights in zip(theirs, ours.get_weights(made), strict=True):
        one.set_weights(weights)
    check_equal()
    for one in theirs:
        one.set_weights([rng.standard_normal(a.shape).astype(np.float32) / 3 for a in one.get_weights()])
    ours.set_weights(made, [one.get_weights() for one in theirs])
    check_equal()


def test_there_and_back() -> None:
    layer = fastrnn.GRU(I, H, 2, bidirectional=True, seed=1)
    other = fastrnn.GRU(I, H, 2, bidirectional=True, seed=2)
    ours.set_weights(other, ours.get_weights(layer))
    checks.same_bits(other.flat_params, layer.flat_params)


def changed(layer: Any, number: int, value: Any) -> None:
    """Set weights with another array at one place."""
    weights = ours.get_weights(layer)
    weights[0][number] = value
    ours.set_weights(layer, weights)


ERRORS: dict[str, Case] = {
    "layer": (
        lambda: ours.get_weights(fastrnn.Linear(2, 3)),  # type: ignore[arg-type]
        TypeError,
        "layer: expected a recurrent layer, got Linear",
    ),
    "cell": (
        lambda: ours.get_weights(fastrnn.LSTM(I, H, coupled=True)),
        ValueError,
        "layer: expected a cell that Keras has, without zoneout, got LSTM(4, 6, coupled=True)",
    ),
    "cell with a context": (
        lambda: ours.get_weights(fastrnn.SCRN(I, H)),
        ValueError,
        "layer: expected a cell that Keras has, without zoneout, got SCRN(4, 6, context_size=1)",
    ),
    "cell of modules": (
        lambda: ours.get_weights(fastrnn.ClockworkRNN(I, H, periods=(1, 2))),
        ValueError,
        "layer: expected a cell that Keras has, without zoneout, got ClockworkRNN(4, 6, periods=(1, 2))",
    ),
    "zoneout": (
        lambda: ours.get_weights(fastrnn.GRU(I, H, zoneout=0.1)),
        ValueError,
        "layer: expected a cell that Keras has, without zoneout, got GRU(4, 6, zoneout=(0.1,))",
    ),
    "levels": (
        lambda: ours.set_weights(fastrnn.GRU(I, H, 2), []),
        ValueError,
        "weights: expected those of 2 levels, got 0",
    ),
    "arrays": (
        lambda: ours.set_weights(fastrnn.GRU(I, H), [[np.zeros((I, 3 * H))]]),
        ValueError,
        "weights[0]: expected 3 arrays, got 1 of them",
    ),
    "other reset form": (
        lambda: changed(fastrnn.GRU(I, H), 2, np.zeros(3 * H, np.float32)),
        ValueError,
        "weights[0][2]: expected shape (2, 3*H) = (2, 18), got (18,)",
    ),
    "other reset form, before": (
        lambda: changed(fastrnn.GRU(I, H, reset="before"), 2, np.zeros((2, 3 * H), np.float32)),
        ValueError,
        "weights[0][2]: expected shape (3*H,) = (18,), got (2, 18)",
    ),
    "dtype": (
        lambda: changed(fastrnn.LSTM(I, H), 0, np.zeros((I, 4 * H))),
        TypeError,
        "weights[0][0]: expected float32, got float64; use weights[0][0].astype(np.float32)",
    ),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)
