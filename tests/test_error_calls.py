"""Every bad argument of a call or a pullback is named, with the rule and what came."""

from __future__ import annotations

import numpy as np
import pytest
from errors import STATE, TOKENS, WEIGHTS, Case, H, I, V, X, Y, check, model, pull

import fastrnn
from fastrnn import LSTM, Dropout, Linear, Sequential, functional, losses

CALLS: dict[str, Case] = {
    "mask": (
        lambda: losses.MSE()(Y, Y, mask=TOKENS[:2] > 0),
        ValueError,
        "mask: expected shape (4, 3), got (2, 3)",
    ),
    "mask of ints": (lambda: losses.MSE()(Y, Y, mask=TOKENS), TypeError, "mask: expected bool, got int64"),
    "mask list": (
        lambda: losses.CrossEntropy()(Y, TOKENS, mask=[True]),
        TypeError,
        "mask: expected a NumPy array, got list",
    ),
    "mask of elements": (
        lambda: losses.CrossEntropy()(Y, TOKENS, mask=Y > 0),
        ValueError,
        "mask: expected shape (4, 3), got (4, 3, 6)",
    ),
    "float64": (
        lambda: LSTM(I, H)(X.astype("f8")),
        TypeError,
        "x: expected float32, got float64; use x.astype(np.float32)",
    ),
    "float32": (
        lambda: LSTM(I, H, dtype="float64")(X),
        TypeError,
        "x: expected float64, got float32; use x.astype(np.float64)",
    ),
    "list": (lambda: LSTM(I, H)([[[1.0]]]), TypeError, "x: expected a NumPy array, got list"),
    "masked": (
        lambda: LSTM(I, H)(np.ma.masked_greater(X, 0)),
        TypeError,
        "x: expected an array without a mask (use x.filled), got MaskedArray",
    ),
    "more than can be counted": (
        lambda: LSTM(2, 2**60),
        MemoryError,
        "LSTM: expected parameters that fit into memory, got weight_ih_l0 (4611686018427387904, 2), "
        "weight_hh_l0 (4611686018427387904, 1152921504606846976), bias_ih_l0 (4611686018427387904,), "
        "bias_hh_l0 (4611686018427387904,)",
    ),
    "list, state": (
        lambda: LSTM(I, H)([[[1.0]]], (STATE, STATE)),
        TypeError,
        "x: expected a NumPy array, got list",
    ),
    "rank, state": (
        lambda: LSTM(I, H)(X[0], (STATE, STATE)),
        ValueError,
        "x: expected shape (T, B, I), got (3, 5)",
    ),
    "no tuple": (
        lambda: LSTM(I, H)(X, STATE),
        TypeError,
        "state: expected a tuple (h, c), got float32 array of shape (1, 3, 6)",
    ),
    "one": (lambda: LSTM(I, H)(X, (STATE,)), TypeError, "state: expected a tuple (h, c), got 1 of them"),
    "none": (lambda: LSTM(I, H)(X, (STATE, None)), TypeError, "c: expected a NumPy array, got None"),
    "levels": (
        lambda: LSTM(I, H, 2)(X, (STATE, STATE)),
        ValueError,
        "h: expected shape (L, B, H) = (2, 3, 6), got (1, 3, 6)",
    ),
    "rows": (
        lambda: LSTM(I, H)(X[:, :2], (STATE, STATE)),
        ValueError,
        "h: expected shape (L, B, H) = (1, 2, 6), got (1, 3, 6)",
    ),
    "rows, batch first": (
        lambda: LSTM(I, H, batch_first=True)(X, (STATE, STATE)),
        ValueError,
        "h: expected shape (L, B, H) = (1, 4, 6), got (1, 3, 6)",
    ),
    "state float64": (
        lambda: LSTM(I, H)(X, (STATE, STATE.astype("f8"))),
        TypeError,
        "c: expected float32, got float64; use c.astype(np.float32)",
    ),
    "key": (
        lambda: LSTM(I, H, 2, dropout=0.5).vjp(X),
        ValueError,
        "key: expected an int because dropout is 0.5, got None",
    ),
    "key of dropout": (
        lambda: Dropout(0.5).vjp(X),
        ValueError,
        "key: expected an int because dropout is 0.5, got None",
    ),
    "key of a part": (
        lambda: Sequential(LSTM(I, H), Dropout(0.25)).vjp(X),
        ValueError,
        "key: expected an int because dropout is 0.25, got None",
    ),
    "key float": (lambda: Dropout(0.5).vjp(X, 1.5), TypeError, "key: expected an int, got 1.5"),
    "key of a part float": (
        lambda: Sequential(Dropout(0.5)).vjp(X, key=1.5),
        TypeError,
        "key: expected an int, got 1.5",
    ),
    "states": (
        lambda: model()(TOKENS, (STATE, STATE)),
        TypeError,
        "state: expected a tuple of 1 states, one for each recurrent layer, got 2 of them",
    ),
    "no states": (
        lambda: Sequential(Linear(I, H))(X, (STATE,)),
        TypeError,
        "state: expected a tuple of 0 states, one for each recurrent layer, got 1 of them",
    ),
    "no state": (
        lambda: fastrnn.value_and_grad(Linear(I, H), losses.MSE())(X, Y, (STATE,)),
        ValueError,
        "state: expected None for a model that is not recurrent, got tuple",
    ),
    "negative token": (
        lambda: model()(TOKENS - 1),
        ValueError,
        "x: expected integers in [0, 7), got -1 at index (0, 0)",
    ),
    "large token": (
        lambda: model()(TOKENS + V),
        ValueError,
        "x: expected integers in [0, 7), got 7 at index (0, 0)",
    ),
    "dy": (lambda: pull(LSTM(I, H), dy=Y[1:]), ValueError, "dy: expected shape (4, 3, 6), got (3, 3, 6)"),
    "dy list": (lambda: pull(LSTM(I, H), dy=[1]), TypeError, "dy: expected a NumPy array, got list"),
    "dy float64": (
        lambda: pull(LSTM(I, H), dy=Y.astype("f8")),
        TypeError,
        "dy: expected float32, got float64; use dy.astype(np.float32)",
    ),
    "dstate": (
        lambda: pull(LSTM(I, H), dstate=(STATE,)),
        TypeError,
        "dstate: expected a tuple (dh, dc), got 1 of them",
    ),
    "dstate shape": (
        lambda: pull(LSTM(I, H), dstate=(STATE, STATE[:, 1:])),
        ValueError,
        "dc: expected shape (L, B, H) = (1, 3, 6), got (1, 2, 6)",
    ),
    "grads": (
        lambda: pull(Linear(I, H), grads=[1]),
        TypeError,
        "grads: expected a mapping of names to arrays, got list",
    ),
    "grads size": (
        lambda: pull(Linear(I, H), grads=np.zeros(3, "f4")),
        ValueError,
        "grads: expected shape (36,), got (3,)",
    ),
    "grads float64": (
        lambda: pull(Linear(I, H), grads=np.zeros(36)),
        TypeError,
        "grads: expected float32, got float64; use grads.astype(np.float32)",
    ),
    "grads strided": (
        lambda: pull(Linear(I, H), grads=np.zeros(72, "f4")[::2]),
        ValueError,
        "grads: expected a C-contiguous and writeable array, got one that is not",
    ),
    "grads missing": (
        lambda: pull(Linear(I, H), grads={"weight": np.zeros((H, I), "f4")}),
        ValueError,
        "grads: expected 'bias', got no such name (1 missing)",
    ),
    "grads of a part": (
        lambda: pull(model(), TOKENS, grads=np.zeros(3, "f4")),
        ValueError,
        "grads: expected shape (347,), got (3,)",
    ),
    "targets float": (
        lambda: losses.CrossEntropy()(Y, Y[..., 0]),
        TypeError,
        "targets: expected int32 or int64, got float32",
    ),
    "targets": (
        lambda: losses.CrossEntropy()(Y, TOKENS[1:]),
        ValueError,
        "targets: expected shape (4, 3), got (3, 3)",
    ),
    "target": (
        lambda: losses.CrossEntropy()(Y, TOKENS + H),
        ValueError,
        "targets: expected values in [0, 6) or -100, got 6",
    ),
    "logits": (lambda: losses.CrossEntropy()([1], TOKENS), TypeError, "y: expected a NumPy array, got list"),
    "logits int": (
        lambda: losses.CrossEntropy()(TOKENS, TOKENS),
        TypeError,
        "y: expected float32 or float64, got int64",
    ),
    "scalar": (
        lambda: losses.MSE()(np.array(1.0), 1),
        ValueError,
        "y: expected at least one axis, got shape ()",
    ),
    "mse": (lambda: losses.MSE()(Y, X), ValueError, "targets: expected shape (4, 3, 6), got (4, 3, 5)"),
    "scale": (
        lambda: losses.MSE().value_and_grad(Y, Y, scale="a"),
        TypeError,
        "scale: expected a number, got 'a'",
    ),
    "scale inf": (
        lambda: losses.LinearCrossEntropy(H, V).value_and_grad(Y, TOKENS, scale=10**400),
        ValueError,
        "scale: expected a finite number, got inf",
    ),
    "explain": (lambda: fastrnn.explain(LSTM(I, H), 0, 1), ValueError, "T: expected an int >= 1, got 0"),
    "explain what": (
        lambda: fastrnn.explain(Linear(I, H), 1, 1),
        TypeError,
        "layer: expected a recurrent layer, or one that has some, got Linear",
    ),
    "threads": (lambda: fastrnn.set_num_threads(0), ValueError, "n: expected an int >= 1, got 0"),
    "threads text": (lambda: fastrnn.set_num_threads("2"), TypeError, "n: expected an int, got '2'"),
    "many threads": (
        lambda: fastrnn.set_num_threads(10**12),
        ValueError,
        f"n: expected an int <= 1024, got {10**12}",
    ),
    "isa none": (lambda: fastrnn.use_isa(None), TypeError, "name: expected a str, got None"),
    "cell": (
        lambda: functional.recurrent("cell", X, WEIGHTS),
        ValueError,
        f"cell: expected one of {', '.join(functional.CELLS)}, got 'cell'",
    ),
    "cell none": (
        lambda: functional.recurrent(None, X, WEIGHTS),
        TypeError,
        "cell: expected a str, got None",
    ),
    "weights": (
        lambda: functional.lstm(X, None),
        TypeError,
        "weights: expected a tuple of arrays, got None",
    ),
    "step": (lambda: functional.dropout(X, 0.5, 1, -1), ValueError, "step: expected an int >= 0, got -1"),
    "p": (lambda: functional.dropout(X, 1.5, 1), ValueError, "p: expected 0 <= p < 1, got 1.5"),
    "attribute": (lambda: fastrnn.GRUU, AttributeError, "module 'fastrnn' has no attribute 'GRUU'"),
}


@pytest.mark.parametrize("case", CALLS.values(), ids=CALLS)
def test_calls(case: Case) -> None:
    check(case)


def test_a_refused_gradient_leaves_the_pullback_usable() -> None:
    layer = LSTM(I, H)
    (y, _), pullback = layer.vjp(X)
    with pytest.raises(ValueError, match="dy: expected"):
        pullback(y[1:])
    assert not layer.flat_grads.any()
    pullback(y)
