"""Layers: what they compute is the reference, and who owns what."""

from __future__ import annotations

from typing import Any

import checks
import numpy as np
import pytest

import fastrnn
from fastrnn import LSTM, Dropout, Embedding, Linear, Sequential
from fastrnn._random import fold
from fastrnn.layers import Composite, Joined, Layer
from fastrnn.layers.recurrent_parameters import _RecurrentParameters
from fastrnn.reference import sequence, stack
from fastrnn.reference.cells import lstm

T, B, I, H, L, V = 6, 3, 5, 17, 3, 7
KEY = 2**70 + 3  # more than 64 bits: keys are taken modulo 2**64

OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"batch_first": True},
    {"num_layers": L},
    {"num_layers": L, "dropout": 0.4},
    {"num_layers": L, "dropout": 0.4, "batch_first": True, "bias": False},
]


def normal(rng: np.random.Generator, dtype: Any, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(dtype)


def reference_of(layer: Any) -> tuple[list[sequence.Weights], list[stack.Gap]]:
    """The layer's parameters in a wider type, and its dropout."""
    weights = []
    for level in range(layer.num_layers):
        kinds = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if layer.bias else ()))
        weights.append(
            sequence.Weights(*(layer.params[f"{k}_l{level}"].astype(np.longdouble) for k in kinds))
        )
    gaps = [stack.Gap(layer.dropout, fold(KEY, level), 2) for level in range(layer.num_layers - 1)]
    return weights, gaps if layer.dropout else []


def lstm_is_the_reference(layer: Any, rng: np.random.Generator) -> None:
    dtype, turn = layer.dtype, (1, 0, 2) if layer.batch_first else (0, 1, 2)
    x, dy = normal(rng, dtype, T, B, I), normal(rng, dtype, T, B, H)
    state = normal(rng, dtype, 2, layer.num_layers, B, H)
    dstate = normal(rng, dtype, 2, layer.num_layers, B, H)
    (y, final), pullback = layer.vjp(x.transpose(turn), tuple(state), key=KEY, step=2)
    dx, dinitial = pullback(dy.transpose(turn), tuple(dstate))

    weights, gaps = reference_of(layer)
    wide = [a.astype(np.longdouble) for a in (x, dy, state, dstate)]
    levels = [tuple(wide[2][:, level]) for level in range(layer.num_layers)]
    want_y, want_final, saved = stack.forward(lstm, wide[0], weights, levels, gaps=gaps)
    dlevels = [tuple(wide[3][:, level]) for level in range(layer.num_layers)]
    want = stack.backward(lstm, saved, weights, wide[1], dlevels, gaps=gaps)

    checks.close(y.transpose(turn), want_y, "forward", "y")
    checks.close(dx.transpose(turn), want.x, "gradient", "dx")
    for part in range(2):
        checks.close(final[part], np.stack([s[part] for s in want_final]), "forward", f"state[{part}]")
        checks.close(dinitial[part], np.stack([s[part] for s in want.state]), "gradient", f"dstate[{part}]")
    flat = [a for w in want.weights for a in w if a is not None]
    for (name, got), expected in zip(layer.grads.items(), flat, strict=True):
        checks.close(got, expected, "gradient", f"grads[{name!r}]")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_lstm_is_the_reference(rng: np.random.Generator, dtype: np.dtype, options: dict[str, Any]) -> None:
    lstm_is_the_reference(LSTM(I, H, **options, dtype=dtype.name, seed=1), rng)


def test_the_check_sees_a_wrong_mask(rng: np.random.Generator) -> None:
    layer = LSTM(I, H, 2, dropout=0.4, dtype="float64", seed=1)
    vjp = layer.vjp
    layer.vjp = lambda x, state, key, step: vjp(x, state, key=key, step=step + 1)  # type: ignore[method-assign]
    with pytest.raises(AssertionError, match=r"y: .* eps, allowed"):
        lstm_is_the_reference(layer, rng)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_plain_call_is_vjp_without_dropout(rng: np.random.Generator, options: dict[str, Any]) -> None:
    layer = LSTM(I, H, **{**options, "dropout": 0.0}, seed=1)
    x = normal(rng, "float32", T, B, I)
    y, final = layer(x)
    (kept, kept_final), _ = layer.vjp(x)
    checks.same_bits(y, kept)
    checks.same_bits(np.stack(final), np.stack(kept_final))


def test_chunks_see_the_masks_of_the_whole(rng: np.random.Generator) -> None:
    model = Sequential(Dropout(0.3), LSTM(I, H, 2, dropout=0.4, seed=1), Dropout(0.2))
    x = normal(rng, "float32", T, B, I)
    (whole, final), _ = model.vjp(x, key=KEY, step=10)
    (first, state), _ = model.vjp(x[:4], key=KEY, step=10)
    (second, state), _ = model.vjp(x[4:], state, key=KEY, step=14)
    checks.same_bits(np.concatenate([first, second]), whole)
    checks.same_bits(np.stack(state[0]), np.stack(final[0]))


@pytest.mark.parametrize("vocabulary", [V, T * B, T * B + 1], ids=["joined", "just joined", "apart"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_sequential_is_its_layers(rng: np.random.Generator, vocabulary: int, batch_first: bool) -> None:
    def layers() -> list[Any]:
        return [
            Embedding(vocabulary, I, seed=1),
            LSTM(I, H, 2, dropout=0.4, batch_first=batch_first, seed=2),
            Dropout(0.3, batch_first=batch_first),
            LSTM(H, I, batch_first=batch_first, seed=3),
            Linear(I, 2, seed=4),
        ]

    shape = (B, T) if batch_first else (T, B)
    tokens, dy = rng.integers(0, vocabulary, shape), normal(rng, "float32", *shape, 2)
    model, apart = Sequential(*layers()), layers()
    (y, state), pullback = model.vjp(tokens, key=KEY, step=2)
    dx, dstate = pullback(dy)
    assert dx is None

    embedding, first, dropout, second, head = apart
    rows, to_rows = embedding.vjp(tokens)
    (a, state_a), to_a = first.vjp(rows, key=fold(KEY, 1), step=2)
    b, to_b = dropout.vjp(a, fold(KEY, 2), 2)
    (c, state_c), to_c = second.vjp(b)
    want, to_want = head.vjp(c)
    dc, dstate_c = to_c(to_want(dy))
    da, dstate_a = to_a(to_b(dc))
    to_rows(da)
    checks.close(y, want, "identity")
    checks.close(np.stack(state[0]), np.stack(state_a), "identity")
    checks.close(np.stack(state[1]), np.stack(state_c), "identity")
    checks.close(np.stack(dstate[0]), np.stack(dstate_a), "identity")
    checks.close(np.stack(dstate[1]), np.stack(dstate_c), "identity")
    for place, layer in enumerate(apart):
        for name, grad in layer.grads.items():
            checks.close(model.grads[f"{place}.{name}"], grad, "identity", f"{place}.{name}")
    checks.same_bits(model(tokens)[0], head(second(first(embedding(tokens))[0])[0]))


def test_sequential_of_sequentials(rng: np.random.Generator) -> None:
    inner = Sequential(LSTM(I, H, seed=1), Linear(H, I, seed=2))
    model = Sequential(inner, Linear(I, 2, seed=3))
    assert list(model.params)[-3:] == ["0.1.bias", "1.weight", "1.bias"]
    x = normal(rng, "float32", T, B, I)
    (y, state), pullback = model.vjp(x)
    assert len(state) == 1
    assert len(state[0]) == 1
    model.vjp(x, state)
    dx, _ = pullback(np.ones_like(y), grads=(grads := np.zeros_like(model.flat_grads)))
    assert dx.shape == x.shape
    assert grads.all()
    assert not model.flat_grads.any()


def test_plain_sequential_has_no_state(rng: np.random.Generator) -> None:
    model = Sequential(Linear(I, H, seed=1), Dropout(0.5), Linear(H, 2, seed=2))
    x = normal(rng, "float32", B, I)
    assert model(x).shape == (B, 2)
    y, pullback = model.vjp(x, key=1)
    assert pullback(y).shape == x.shape
    y, pullback = model.vjp(x, key=1)
    assert pullback(y, want_dx=False) is None


def test_dropout(rng: np.random.Generator, dtype: np.dtype) -> None:
    layer, x = Dropout(0.25), np.ones((40, 20, 30), dtype)
    assert layer(x) is x
    y, pullback = layer.vjp(x, 5)
    kept = y != 0
    assert abs(kept.mean() - 0.75) < 0.01  # 24,000 draws: a standard deviation of 0.003
    checks.close(y[kept], np.full(kept.sum(), 1 / 0.75), "update")
    checks.same_bits(pullback(x), y)
    checks.same_bits(Dropout(0.25, batch_first=True).vjp(x.swapaxes(0, 1), 5)[0], y.swapaxes(0, 1))
    checks.same_bits(layer.vjp(x, 5 + 2**64)[0], y)
    y, pullback = Dropout(0).vjp(x)
    assert y is x
    assert pullback(x) is x


def test_dropout_takes_the_order_of_its_sequential() -> None:
    dropout = Dropout(0.5)
    assert Sequential(LSTM(I, H, batch_first=True), dropout).batch_first
    assert dropout.batch_first


def test_value_and_grad(rng: np.random.Generator, dtype: np.dtype) -> None:
    model = Sequential(
        Embedding(V, I, dtype=dtype.name, seed=1), LSTM(I, H, dtype=dtype.name, seed=2), Dropout(0.5)
    )
    head = fastrnn.losses.LinearCrossEntropy(H, V, dtype=dtype.name, seed=3)
    f = fastrnn.value_and_grad(model, head)
    assert np.shares_memory(f.flat_params, model.flat_params)
    assert np.shares_memory(f.flat_params, head.flat_params)
    tokens = rng.integers(0, V, (T + 1, B))
    loss, state = f(tokens[:-1], tokens[1:], key=1)
    got = f.flat_grads.copy()
    f.zero_grad()
    (y, want_state), pullback = model.vjp(tokens[:-1], key=1)
    want, to_y = head.vjp(y, tokens[1:])
    pullback(to_y())
    checks.close(dtype.type(loss), dtype.type(want), "loss")
    checks.same_bits(np.stack(state[0]), np.stack(want_state[0]))
    checks.close(f.flat_grads, got, "gradient")

    grads = np.zeros_like(got)
    f(tokens[:-1], tokens[1:], state, 1, grads=grads)
    assert grads.any()
    y, state = model(tokens[:-1])
    assert f.loss(tokens[:-1], tokens[1:])[0] == head(y, tokens[1:])
    total, count, _ = f.total(tokens[:-1], tokens[1:])
    assert count == T * B
    checks.close(dtype.type(total / count), dtype.type(head(y, tokens[1:])), "loss")


def test_value_and_grad_of_a_loss_without_parameters(rng: np.random.Generator) -> None:
    model = Linear(I, 2, seed=1)
    f = fastrnn.value_and_grad(model, fastrnn.losses.MSE())
    x, targets = normal(rng, "float32", B, I), normal(rng, "float32", B, 2)
    loss, state = f(x, targets)
    assert state is None
    assert loss == f.loss(x, targets)[0]
    assert model.flat_grads.any()
    assert np.shares_memory(model.flat_grads, f.flat_grads)


def test_explain_speaks_of_every_level() -> None:
    model = Sequential(Embedding(V, I), LSTM(I, H, 2), Linear(H, 2), LSTM(2, H))
    found = fastrnn.explain(model, 64, 8)
    assert [(level["level"], level["I"], level["H"]) for level in found] == [(0, I, H), (1, H, H), (0, 2, H)]
    assert all(0 < level["predicted_share"] <= 1 for level in found)
    assert len(repr(found).splitlines()) == 3


def test_keys_fold_as_published() -> None:
    # The first outputs of splitmix64 from seed 0 (its own reference program).
    state = 0
    for want in (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F):
        assert fold(state, 0) == want
        state += 0x9E3779B97F4A7C15
    assert fold(7, 1, 2) == fold(fold(7, 1), 2)
    assert fold(-1, 0) == fold(2**64 - 1, 0)
    assert len({fold(k, i) for k in range(50) for i in range(50)}) == 2500


def test_what_a_layer_prints() -> None:
    assert repr(LSTM(5, 7, 2, dropout=0.5)) == "LSTM(5, 7, num_layers=2, dropout=0.5)"
    assert (
        repr(Sequential(Embedding(3, 5), Dropout(0.5)))
        == "Sequential(\n  0: Embedding(3, 5)\n  1: Dropout(0.5)\n)"
    )


def test_every_layer_is_public() -> None:
    for base in (Layer, Composite, Joined, _RecurrentParameters):
        for kind in {*base.__subclasses__()} - {_RecurrentParameters}:
            if kind.__module__.startswith("fastrnn.layers") and kind not in (Composite,):
                assert getattr(fastrnn.layers, kind.__name__) is kind
