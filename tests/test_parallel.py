"""Layers side by side, functions as layers, and pools: what they give is what their parts give."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import checks
import numpy as np
import pytest
from errors import H, I, V
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrnn
from fastrnn import (
    GRU,
    LSTM,
    Add,
    Concat,
    Dropout,
    Embedding,
    Inputs,
    Lambda,
    Linear,
    Pool,
    Residual,
    Sequential,
)
from fastrnn._random import fold

RELU = (lambda x: np.maximum(x, 0), lambda dy, x, y: dy * (x > 0))


def both(layer: Any, x: np.ndarray, **options: Any) -> tuple[Any, Any]:
    """A vjp call and a plain one, which must agree where nothing is random."""
    out, pullback = layer.vjp(x, **options)
    lengths = {"lengths": options["lengths"]} if "lengths" in options else {}
    if not layer._draws:
        plain = layer(x, **lengths)
        checks.same_bits((plain[0] if layer.recurrent else plain), out[0] if layer.recurrent else out)
    return out, pullback


def test_concat(rng: np.random.Generator) -> None:
    x = rng.standard_normal((5, 3, I), np.float32)
    parts = [LSTM(I, 4, seed=0), Linear(I, 2, seed=1), GRU(I, 3, bidirectional=True, seed=2)]
    layer = Concat(*copy.deepcopy(parts))
    lengths = np.array([5, 0, 2])
    (y, state), pullback = both(layer, x, lengths=lengths)
    assert y.shape == (5, 3, 12)
    dy = rng.standard_normal(y.shape, np.float32)
    dx, dstate = pullback(dy)
    want_dx, at = None, 0
    for k, part in enumerate(parts):
        if part.recurrent:
            (want, final), back = part.vjp(x, lengths=lengths)
            width = want.shape[-1]
            more, first = back(dy[..., at : at + width])
            checks.same_bits(state[k // 2][0], final[0])
            checks.same_bits(dstate[k // 2][0], first[0])
        else:
            want, back = part.vjp(x)
            width = want.shape[-1]
            more = back(dy[..., at : at + width])
        checks.same_bits(y[..., at : at + width], want)
        at += width
        want_dx = more if want_dx is None else want_dx + more
        for name, gradient in part.grads.items():
            checks.same_bits(layer.grads[f"{k}.{name}"], gradient)
    checks.same_bits(dx, want_dx)


def test_add_and_residual(rng: np.random.Generator) -> None:
    x = rng.standard_normal((5, 3, I), np.float32)
    first, second = Linear(I, I, seed=0), Lambda(*RELU)
    want = first(x) + np.maximum(x, 0)
    for layer in (Add(first, second), Residual(Linear(I, I, seed=0))):
        y, pullback = both(layer, x)
        dy = rng.standard_normal(y.shape, np.float32)
        dx = pullback(dy)
        inner = Linear(I, I, seed=0)
        out, back = inner.vjp(x)
        checks.same_bits(y, want if isinstance(layer, Add) else x + out)
        more = back(dy)
        checks.same_bits(dx, more + dy * (x > 0) if isinstance(layer, Add) else dy + more)
        checks.same_bits(layer.grads["0.weight"], inner.grads["weight"])


def test_tokens_and_keys(rng: np.random.Generator) -> None:
    tokens = rng.integers(0, V, (5, 3))
    layer = Sequential(
        Concat(Embedding(V, I, seed=0), Sequential(Embedding(V, 2, seed=1), Dropout(0.5))),
        LSTM(I + 2, 4, seed=2),
    )
    (y, _), pullback = layer.vjp(tokens, key=3)
    assert pullback(np.ones_like(y))[0] is None
    assert all(gradient.any() for gradient in layer.grads.values())
    inner = layer.children["0"]
    table = inner.children["1"].children["0"].params["weight"]
    dropped, _ = inner.vjp(tokens, key=fold(3, 0))
    want = fastrnn.functional.dropout(table[tokens], 0.5, fold(fold(fold(3, 0), 1), 1))
    checks.same_bits(dropped[..., I:], want)


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 20), st.data())
@settings(max_examples=30, deadline=None)
def test_pools(steps: int, rows: int, width: int, data: st.DataObject) -> None:
    lengths = np.array(data.draw(st.lists(st.integers(0, steps), min_size=rows, max_size=rows)))
    x = np.random.default_rng(steps * rows).standard_normal((steps, rows, 2 * width))
    for kind in ("last", "mean", "max"):
        y, pullback = both(Pool(kind, bidirectional=True), x, lengths=lengths)
        dx = pullback(np.ones_like(y))
        for b, length in enumerate(lengths):
            row = x[:length, b]
            if not length:
                want = np.zeros(2 * width)
            elif kind == "last":
                want = np.concatenate([row[-1, :width], row[0, width:]])
            else:
                want = row.mean(axis=0) if kind == "mean" else row.max(axis=0)
            checks.close(y[b], want, "update")
            assert not dx[length:, b].any()
            checks.close(dx[:, b].sum(axis=0), np.full(2 * width, float(length > 0)), "update")
        checks.same_bits(Pool(kind, bidirectional=True, batch_first=True)(x.swapaxes(0, 1), lengths), y)


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_classifier_of_layers(rng: np.random.Generator, batch_first: bool) -> None:
    """Rows in a padded batch give what they give alone, in the loss and in the gradients."""
    body = Sequential(
        Embedding(V, I, seed=0),
        LSTM(I, H, bidirectional=True, batch_first=batch_first, seed=1),
        Pool("last", bidirectional=True),
    )
    tokens, lengths = rng.integers(0, V, (4, 7)), np.array([7, 1, 3, 5])
    x = tokens if batch_first else tokens.T
    (y, _), pullback = body.vjp(x, lengths=lengths)
    dy = rng.standard_normal(y.shape, np.float32)
    pullback(dy)
    together = body.flat_grads.copy()
    body.zero_grad()
    for b, length in enumerate(lengths):
        row = tokens[b : b + 1, :length]
        (alone, _), back = body.vjp(row if batch_first else row.T)
        checks.same_bits(alone[0], y[b])
        back(dy[b : b + 1])
    checks.close(body.flat_grads, together, "identity")
    again = pickle.loads(pickle.dumps(body))
    checks.same_bits(again(x, lengths=lengths)[0], y)


def test_inputs_of_their_own(rng: np.random.Generator) -> None:
    """Two sequences of unlike lengths and a row of numbers: what each layer gives by itself, side by side."""
    x = (
        rng.standard_normal((5, 3, I), np.float32),
        rng.integers(0, V, (4, 3)),
        rng.random((3, 2), np.float32),
    )
    lengths = (np.array([5, 0, 2]), np.array([1, 4, 2]), None)
    parts = [
        Sequential(LSTM(I, 4, seed=0), Pool("max")),
        Sequential(Embedding(V, 3, seed=1), GRU(3, 2, seed=2), Pool("last")),
        Linear(2, 3, seed=3),
    ]
    layer = Inputs(*copy.deepcopy(parts))
    (y, state), pullback = both(layer, x, lengths=lengths)
    assert y.shape == (3, 9)
    assert len(state) == 2
    dy = rng.standard_normal(y.shape, np.float32)
    dx, _ = pullback(dy)
    for k, (part, columns) in enumerate(zip(parts, (slice(4), slice(4, 6), slice(6, 9)), strict=True)):
        out, back = part.vjp(x[k], **({} if lengths[k] is None else {"lengths": lengths[k]}))
        checks.same_bits(y[:, columns], out[0] if part.recurrent else out)
        own = back(np.ascontiguousarray(dy[:, columns]))
        own = own[0] if part.recurrent else own
        if own is None:
            assert dx[k] is None
        else:
            checks.same_bits(dx[k], own)
        for name, gradient in part.grads.items():
            checks.same_bits(layer.grads[f"{k}.{name}"], gradient)


def test_a_joined_model_of_several_inputs(rng: np.random.Generator) -> None:
    """Which of two sequences has the larger sum, learned by `value_and_grad` and an optimiser."""
    pools = [Sequential(GRU(1, 8, seed=k), Pool("last")) for k in range(2)]
    model = Sequential(Inputs(*pools), Linear(16, 8, seed=2), fastrnn.Activation("tanh"))
    f = fastrnn.value_and_grad(model, fastrnn.losses.LinearCrossEntropy(8, 2, seed=3))
    optimizer = fastrnn.optim.Adam(f, lr=1e-2)
    for _ in range(150):
        x = tuple(rng.standard_normal((steps, 32, 1), np.float32) for steps in (3, 5))
        targets = (x[0].sum(axis=(0, 2)) > x[1].sum(axis=(0, 2))).astype(np.int32)
        loss, _ = f(x, targets)
        optimizer.step()
    assert loss < 0.4
    total, count, _ = f.total(x, targets)
    assert count == 32
    assert total / count < loss
    short = tuple(np.array([steps] * 31 + [1]) for steps in (3, 5))
    assert f.loss(x, targets, lengths=short)[0] != f.loss(x, targets)[0]
