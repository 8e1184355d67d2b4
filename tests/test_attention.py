"""Attention as layers: gradients, what is not looked at, composition, and bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import checks
import numpy as np
import pytest
from errors import Case, X, check

from fastrnn import LSTM, AttentionPool, Sequential, reference
from fastrnn.layers import Attention
from fastrnn.layers.attention import KINDS

S, T, B, D, E = 3, 5, 4, 6, 6
LENGTHS = np.array([5, 2, 0, 3])


def slopes(loss: Callable[[], float], values: np.ndarray) -> np.ndarray:
    """Central differences by every element of `values`, of float64, in place."""
    found = np.zeros(values.shape)
    for place in np.ndindex(values.shape):
        before, ends = values[place], []
        for change in (1e-6, -1e-6):
            values[place] = before + change
            ends.append(loss())
        values[place] = before
        found[place] = (ends[0] - ends[1]) / 2e-6
    return found


def near(got: np.ndarray, want: np.ndarray) -> None:
    """Within what differences of step 1e-6 in float64 can tell."""
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
def test_gradients(rng: np.random.Generator, kind: str, lengths: Any) -> None:
    layer = Attention(kind, D, E, dtype="float64", seed=0)
    q, memory = rng.standard_normal((S, B, D)), rng.standard_normal((T, B, E))
    dcontext = rng.standard_normal((S, B, E))
    (context, weights), pullback = layer.vjp(q, memory, lengths)
    checks.same_bits(layer(q, memory, lengths)[0], context)
    dq, dmemory = pullback(dcontext)

    def loss() -> float:
        return float((layer(q, memory, lengths)[0] * dcontext).sum())

    near(dq, slopes(loss, q))
    near(dmemory, slopes(loss, memory))
    if layer.flat_params.size:
        near(layer.flat_grads, slopes(loss, layer.flat_params))
        again = np.zeros_like(layer.flat_grads)
        layer.vjp(q, memory, lengths)[1](dcontext, grads=again)
        checks.same_bits(again, layer.flat_grads)
    some = np.full(B, T) if lengths is None else lengths
    np.testing.assert_allclose(weights.sum(axis=2), np.repeat(some[:, None] > 0, S, axis=1), rtol=1e-12)
    if lengths is not None:
        assert not weights[1, :, 2:].any()
        assert not dmemory[2:, 1].any()
        assert not context[:, 2].any()


@pytest.mark.parametrize("batch_first", [False, True])
def test_pool(rng: np.random.Generator, batch_first: bool) -> None:
    layer = AttentionPool(E, batch_first=batch_first, dtype="float64", seed=0)
    layer.params["bias"][:] = rng.standard_normal(E)
    x, dy = rng.standard_normal((T, B, E)), rng.standard_normal((B, E))
    given = np.ascontiguousarray(x.swapaxes(0, 1)) if batch_first else x
    y, pullback = layer.vjp(given, LENGTHS)
    checks.same_bits(layer(given, LENGTHS), y)
    want, weights = reference.attention.attention(
        np.broadcast_to(layer.params["bias"], (1, B, E)),
        x,
        x,
        np.arange(T) < LENGTHS[:, None],
        layer.params["weight"],
    )
    checks.close(y, want[0], "product")
    checks.close(layer.weights(given, LENGTHS), weights[:, 0], "product")
    dx = pullback(dy)

    def loss() -> float:
        return float((layer(given, LENGTHS) * dy).sum())

    near(dx, slopes(loss, given))
    near(layer.flat_grads, slopes(loss, layer.flat_params))


def test_pool_after_a_recurrent_layer(rng: np.random.Generator) -> None:
    body = Sequential(LSTM(5, 4, bidirectional=True, batch_first=True, seed=0), AttentionPool(8, seed=1))
    x = rng.standard_normal((3, 7, 5)).astype(np.float32)
    (y, _), pullback = body.vjp(x, lengths=[7, 1, 4])
    pullback(np.ones_like(y))
    for b, length in enumerate((7, 1, 4)):
        checks.same_bits(body(x[b : b + 1, :length])[0][0], y[b])
    assert all(gradient.any() for gradient in body.grads.values())


ERRORS: dict[str, Case] = {
    "kind": (
        lambda: Attention("cosine", 3, 3),
        ValueError,
        "kind: expected one of 'dot', 'general', 'additive', got 'cosine'",
    ),
    "dot": (
        lambda: Attention("dot", 3, 4),
        ValueError,
        "memory_size: expected 3 as query_size because kind is 'dot', got 4",
    ),
    "query": (
        lambda: Attention("dot", 5, 5)(X[0], X),
        ValueError,
        "query: expected shape (S, B, D), got (3, 5)",
    ),
    "rows": (
        lambda: Attention("dot", 5, 5)(X, X[:, :2]),
        ValueError,
        "query: expected shape (S, B, D) = (4, 2, 5), got (4, 3, 5)",
    ),
    "sizes": (
        lambda: Attention("dot", 4, 4)(X, X),
        ValueError,
        "memory: expected shape (T, B, E) = (4, 3, 4), got (4, 3, 5)",
    ),
    "dtypes": (
        lambda: Attention("dot", 5, 5)(X.astype(np.float64), X),
        TypeError,
        "query: expected float32, got float64; use query.astype(np.float32)",
    ),
    "pool dtype": (
        lambda: AttentionPool(5, dtype="float64")(X),
        TypeError,
        "x: expected float64, got float32; use x.astype(np.float64)",
    ),
    "lengths": (
        lambda: Attention("dot", 5, 5)(X, X, [9, 1, 1]),
        ValueError,
        "lengths: expected numbers in [0, T = 4], got 9",
    ),
    "pool": (
        lambda: AttentionPool(3)(X),
        ValueError,
        "x: expected shape (T, B, H) with H = 3, got (4, 3, 5)",
    ),
    "dcontext": (
        lambda: Attention("dot", 5, 5).vjp(X, X)[1](X[:2]),
        ValueError,
        "dcontext: expected shape (4, 3, 5), got (2, 3, 5)",
    ),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)
