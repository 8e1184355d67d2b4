"""An encoder and a decoder that reads the target of the step before."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import checks
import numpy as np
import pytest

import fastrnn
from fastrnn import GRU, LSTM, Dropout, Embedding, Linear, Sequential, TeacherForcing, losses
from fastrnn._random import fold


def coders(dtype: str = "float32", **options: Any) -> tuple[Any, Any]:
    """Of tokens, 11 and 13, to 6 units."""
    encoder = Sequential(Embedding(11, 4, dtype=dtype, seed=0), LSTM(4, 6, 2, dtype=dtype, seed=1, **options))
    decoder = Sequential(Embedding(13, 5, dtype=dtype, seed=2), LSTM(5, 6, 2, dtype=dtype, seed=3, **options))
    return encoder, decoder


def tokens(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(0, 11, (7, 3)), rng.integers(0, 13, (5, 3))


def test_equals_the_parts(rng: np.random.Generator) -> None:
    """With dropout and lengths: outputs and every gradient have the bits of the two calls by hand."""
    encoder, decoder = coders(dropout=0.3)
    model = TeacherForcing(*copy.deepcopy((encoder, decoder)), begin=12)
    source, targets = tokens(rng)
    targets[3:, 0] = -100
    lengths = (np.array([7, 2, 5]), np.array([3, 5, 4]))
    previous = np.vstack([np.full((1, 3), 12), targets[:-1]])
    previous[previous < 0] = 12
    (_, state), first = encoder.vjp(source, None, lengths[0], fold(9, 0))
    (want, _), second = decoder.vjp(previous, state, lengths[1], fold(9, 1))
    y, pullback = model.vjp((source, targets), lengths, key=9)
    checks.same_bits(y, want)
    dy = rng.standard_normal(y.shape, np.float32)
    dx = pullback(dy)
    _, dstate = second(dy)
    first(None, dstate)
    assert dx == (None, None)
    for name, part in (("encoder", encoder), ("decoder", decoder)):
        for key, gradient in part.grads.items():
            checks.same_bits(model.grads[f"{name}.{key}"], gradient, key)
            assert gradient.any(), key
    with pytest.raises(RuntimeError, match="got a second"):
        pullback(dy)


@pytest.mark.parametrize("batch_first", [False, True])
def test_gradients(rng: np.random.Generator, batch_first: bool) -> None:
    """By differences, of parameters and of inputs that are numbers."""
    encoder = GRU(3, 4, dtype="float64", seed=0, batch_first=batch_first)
    decoder = GRU(2, 4, dtype="float64", seed=1, batch_first=batch_first)
    model = TeacherForcing(encoder, decoder)
    shape = (3, 5) if batch_first else (5, 3)
    source, targets = rng.standard_normal((*shape, 3)), rng.standard_normal((*shape, 2))
    y, pullback = model.vjp((source, targets))
    checks.same_bits(model((source, targets)), y)
    dy = rng.standard_normal(y.shape)
    dsource, dtargets = pullback(dy)
    last = dtargets[:, -1] if batch_first else dtargets[-1]
    assert not last.any()

    def difference(array: np.ndarray, at: Any) -> float:
        kept, found = array[at], []
        for step in (1e-6, -1e-6):
            array[at] = kept + step
            found.append(float((model((source, targets)) * dy).sum()))
        array[at] = kept
        return (found[0] - found[1]) / 2e-6

    for array, gradient in (
        (source, dsource),
        (targets, dtargets),
        *zip(model.params.values(), model.grads.values(), strict=True),
    ):
        for _ in range(4):
            at = tuple(int(rng.integers(n)) for n in array.shape)
            assert difference(array, at) == pytest.approx(gradient[at], rel=1e-6, abs=1e-8)


def test_learns(rng: np.random.Generator) -> None:
    """To write a sequence backwards, as a step by step run without targets shows."""
    encoder = Sequential(Embedding(8, 12, seed=0), GRU(12, 48, seed=1))
    decoder = Sequential(Embedding(8, 12, seed=2), GRU(12, 48, seed=3))
    model, head = TeacherForcing(encoder, decoder, begin=0), losses.LinearCrossEntropy(48, 8, seed=4)
    f = fastrnn.value_and_grad(model, head)
    optimizer = fastrnn.optim.Adam(f, lr=1e-2)
    for _ in range(150):
        source = rng.integers(1, 8, (4, 64))
        loss, state = f((source, source[::-1].copy()), source[::-1].copy())
        optimizer.step(max_norm=1.0)
        assert state is None
    assert loss < 0.1
    source = rng.integers(1, 8, (4, 20))
    _, state = encoder(source)
    token, found = np.zeros((1, 20), np.int64), []
    for _ in range(4):
        y, state = decoder(token, state)
        token = head.logits(y).argmax(axis=-1)
        found.append(token[0])
    assert (np.array(found) == source[::-1]).mean() > 0.95


def test_copies_and_wrapping(rng: np.random.Generator) -> None:
    """It is a layer as others: copied, pickled, followed by others; a bare layer beside a model."""
    encoder, decoder = coders()
    model = Sequential(TeacherForcing(encoder, decoder), Dropout(0.5), Linear(6, 2, seed=5))
    x = tokens(rng)
    y = model(x)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        checks.same_bits(copied(x), y)
    mixed = TeacherForcing(GRU(3, 6, seed=0), Sequential(Embedding(13, 5, seed=1), GRU(5, 6, seed=2)))
    z, pullback = mixed.vjp((rng.standard_normal((4, 3, 3), np.float32), x[1]))
    dsource, dtargets = pullback(np.ones_like(z))
    assert dsource.shape == (4, 3, 3)
    assert dtargets is None


TOKENS, NUMBERS = np.zeros((2, 3), int), np.zeros((2, 3, 2), np.float32)
ERRORS: dict[str, tuple[Any, type[Exception], str]] = {
    "encoder": (
        lambda m: TeacherForcing(Linear(2, 3), GRU(2, 3)),
        TypeError,
        "encoder: expected a recurrent layer, got Linear",
    ),
    "decoder": (
        lambda m: TeacherForcing(GRU(2, 3), None),  # type: ignore[arg-type]
        TypeError,
        "decoder: expected a recurrent layer, got None",
    ),
    "begin": (
        lambda m: TeacherForcing(GRU(2, 3), GRU(2, 3), -1),
        ValueError,
        "begin: expected an int >= 0, got -1",
    ),
    "x": (
        lambda m: m(TOKENS),
        TypeError,
        "x: expected a tuple of 2, of the source and the targets, got int64 array of shape (2, 3)",
    ),
    "targets": (lambda m: m((TOKENS, [1])), TypeError, "x[1]: expected a NumPy array, got list"),
    "axes": (
        lambda m: m((TOKENS, np.zeros(3, int))),
        ValueError,
        "x[1]: expected shape (T, B, ...), got (3,)",
    ),
    "lengths": (
        lambda m: m((TOKENS, TOKENS), [1, 2, 3]),
        TypeError,
        "lengths: expected a tuple of 2, of the source and the targets, got 3 of them",
    ),
    "states": (
        lambda m: TeacherForcing(GRU(2, 3), GRU(2, 4))((NUMBERS, NUMBERS)),
        ValueError,
        "h: expected shape (L, B, H) = (1, 3, 4), got (1, 3, 3)",
    ),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=list(ERRORS))
def test_errors(case: tuple[Any, type[Exception], str]) -> None:
    call, kind, text = case
    with pytest.raises(kind) as raised:
        call(TeacherForcing(*coders()))
    assert str(raised.value) == text
