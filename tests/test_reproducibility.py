"""The exceptions that docs/reproducibility.md names are there, and go no further than it says."""

from __future__ import annotations

import checks
import numpy as np
import pytest

from fastrnn import LSTM, Embedding, Sequential, _core
from fastrnn.losses import LinearCrossEntropy

T, B, V, I, H = 40, 8, 20, 24, 33
BY_TOKEN = {"0.weight", "1.weight_ih_l0"}


def make() -> Sequential:
    return Sequential(Embedding(V, I, seed=0), LSTM(I, H, seed=1))


def joined(tokens: np.ndarray, dy: np.ndarray, cut: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Output and gradients, of the whole sequence or of two chunks."""
    model, state, outputs, calls = make(), None, [], []
    for chunk in (slice(0, cut), slice(cut, T)) if cut else (slice(0, T),):
        (y, state), pullback = model.vjp(tokens[chunk], state)
        outputs.append(y)
        calls.append((pullback, dy[chunk]))
    dstate = None
    for pullback, part in reversed(calls):
        _, dstate = pullback(part, dstate)
    return np.concatenate(outputs), model.grads


def separate(tokens: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The same by the two layers."""
    model = make()
    embedding, lstm = model.children.values()
    x, into_embedding = embedding.vjp(tokens)
    (y, _), pullback = lstm.vjp(x)
    into_embedding(pullback(dy)[0])
    return y, model.grads


@pytest.mark.parametrize("other", [separate, lambda *a: joined(*a, cut=1), lambda *a: joined(*a, cut=15)])
def test_tokens(rng: np.random.Generator, other) -> None:
    tokens, dy = rng.integers(0, V, (T, B)), rng.standard_normal((T, B, H)).astype(np.float32)
    (y, grads), (other_y, other_grads) = joined(tokens, dy), other(tokens, dy)
    checks.same_bits(other_y, y)
    for name, g in grads.items():
        if name in BY_TOKEN:
            checks.close(other_grads[name], g, "gradient", name)
            assert not np.array_equal(other_grads[name], g), f"{name}: the exception is gone; say so"
        else:
            checks.same_bits(other_grads[name], g, name)


def test_a_sum_of_losses_in_chunks(rng: np.random.Generator) -> None:
    head = LinearCrossEntropy(H, 300, reduction="sum", seed=0)
    x, targets = rng.standard_normal((T, 50, H)).astype(np.float32), rng.integers(0, 300, (T, 50))
    loss, dx = head.value_and_grad(x, targets)
    whole = head.flat_grads.copy()
    head.zero_grad()
    last, last_dx = head.value_and_grad(x[17:], targets[17:])
    first, first_dx = head.value_and_grad(x[:17], targets[:17])
    checks.same_bits(head.flat_grads, whole)
    checks.same_bits(np.concatenate([first_dx, last_dx]), dx)
    checks.close(np.float64(first + last), np.float64(loss), "loss")


@pytest.mark.skipif("sse4" not in _core.available_isas(), reason="an exception of x86")
@pytest.mark.skipif("avx2" not in _core.available_isas(), reason="nothing to compare with")
def test_sse4_has_bits_of_its_own(rng: np.random.Generator) -> None:
    tokens, dy = rng.integers(0, V, (T, B)), rng.standard_normal((T, B, H)).astype(np.float32)
    before, outputs = _core.isa(), []
    for isa in ("sse4", "avx2"):
        _core.use_isa(isa)
        outputs.append(joined(tokens, dy)[0])
    _core.use_isa(before)
    checks.close(*outputs, "forward")
    assert not np.array_equal(*outputs)


def test_the_norm_depends_on_the_spans(rng: np.random.Generator) -> None:
    g = rng.standard_normal(10_000).astype(np.float32)
    one, two = _core.global_norm([g]), _core.global_norm([g[:5000], g[5000:]])
    checks.close(np.float32(two), np.float32(one), "norm")
    assert one != two
