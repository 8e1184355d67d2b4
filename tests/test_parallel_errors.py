"""What does not fit side by side, and wrong functions as layers and pools, are named."""

from __future__ import annotations

import numpy as np
import pytest
from errors import STATE, TOKENS, Case, H, I, V, X, check

import fastrnn
from fastrnn import LSTM, Add, Concat, Embedding, Inputs, Lambda, Linear, Pool, Residual

ERRORS: dict[str, Case] = {
    "inputs": (
        lambda: Inputs(Linear(I, 2), Linear(I, 3))(X),
        TypeError,
        "x: expected a tuple of 2, one for each layer, got float32 array of shape (4, 3, 5)",
    ),
    "inputs of one": (
        lambda: Inputs(Linear(I, 2), Linear(I, 3))((X,)),
        TypeError,
        "x: expected a tuple of 2, one for each layer, got 1",
    ),
    "lengths of inputs": (
        lambda: Inputs(Pool(), Pool()).vjp((X, X), lengths=[4, 4, 4]),
        TypeError,
        "lengths: expected a tuple of 2, one for each layer, got 3",
    ),
    "lengths of a dense input": (
        lambda: Inputs(Pool(), Linear(I, 3))((X, X), lengths=(None, [4, 4, 4])),
        ValueError,
        "lengths[1]: expected None for a layer that takes none, got some",
    ),
    "one": (lambda: Concat(Linear(I, H)), ValueError, "layers: expected at least two, got 1"),
    "none": (lambda: Add(), ValueError, "layers: expected at least two, got 0"),
    "no layer": (lambda: Concat(Linear(I, H), 3), TypeError, "1: expected a layer, got int"),
    "lead": (
        lambda: Concat(Pool(), Linear(I, H))(X),
        ValueError,
        "layers: expected outputs with leading axes (3,), got (4, 3) from layer 1",
    ),
    "sum": (
        lambda: Add(Linear(I, H), Linear(I, 2))(X),
        ValueError,
        "layers: expected outputs of shape (4, 3, 6), got (4, 3, 2) from layer 1",
    ),
    "residual": (
        lambda: Residual(Linear(I, 2))(X),
        ValueError,
        "layer: expected an output of shape (4, 3, 5), got (4, 3, 2) from it, layer 1",
    ),
    "tokens": (
        lambda: Residual(Embedding(V, I))(TOKENS),
        TypeError,
        "x: expected float32, as what the layer gives, got int64",
    ),
    "order": (
        lambda: Concat(LSTM(I, H), LSTM(I, H, batch_first=True)),
        ValueError,
        "layers: expected the same batch_first in all of them, got both",
    ),
    "state": (
        lambda: Concat(LSTM(I, H), Linear(I, H))(X, (STATE, STATE)),
        TypeError,
        "state: expected a tuple of 1 states, one for each recurrent layer, got 2 of them",
    ),
    "lengths": (
        lambda: Concat(Linear(I, H), Linear(I, H))(X, lengths=[1, 2, 3]),
        ValueError,
        "lengths: expected None for a model that is not recurrent, got some",
    ),
    "joined lengths": (
        lambda: fastrnn.value_and_grad(Linear(I, H), fastrnn.losses.MSE())(X, X, lengths=[1, 2, 3]),
        ValueError,
        "lengths: expected None for a model that is not recurrent, got some",
    ),
    "truncated lengths": (
        lambda: fastrnn.value_and_grad(LSTM(I, H), fastrnn.losses.MSE(), tbptt=(1, 2))(
            X, X, lengths=[1, 2, 3]
        ),
        ValueError,
        "lengths: expected None because tbptt is (1, 2), got some",
    ),
    "dy": (
        lambda: Concat(Linear(I, H), Linear(I, H)).vjp(X)[1](X),
        ValueError,
        "dy: expected shape (4, 3, 12), got (4, 3, 5)",
    ),
    "function": (lambda: Lambda(3, abs), TypeError, "function: expected a callable, got 3"),
    "gradient": (
        lambda: Lambda(np.abs, lambda dy, x, y: dy[..., :1]).vjp(X)[1](X),
        ValueError,
        "gradient(dy, x, y): expected shape (4, 3, 5), got (4, 3, 1)",
    ),
    "kind": (lambda: Pool("sum"), ValueError, "kind: expected one of 'last', 'mean', 'max', got 'sum'"),
    "rank": (lambda: Pool()(X[0]), ValueError, "x: expected shape (T, B, H), got (3, 5)"),
    "length": (
        lambda: Pool()(X, [1, 5, 2]),
        ValueError,
        "lengths: expected numbers in [0, T = 4], got 5",
    ),
    "rows": (lambda: Pool()(X, [1, 2]), ValueError, "lengths: expected shape (B,) = (3,), got (2,)"),
    "twice": (
        lambda: [back(np.zeros((3, I), np.float32)) for back in [Pool().vjp(X)[1]] * 2],
        RuntimeError,
        "pullback: expected one call, got a second; call vjp again",
    ),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)
