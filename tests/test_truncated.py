"""Truncated back-propagation through time, (k1, k2), against gradients worked out step by step."""

from __future__ import annotations

import tracemalloc
from typing import Any

import checks
import numpy as np
import problems
import pytest

import fastrnn
from fastrnn import _core, losses
from fastrnn.reference import CELLS, sequence

T, B, I, H, V = 23, 3, 4, 6, 7
PAIRS = [(1, 1), (1, 5), (3, 7), (4, 8), (5, 5), (5, 23), (7, 40), (23, 23), (30, 30), (1, 23)]
LAYERS = {
    "RNN": lambda **o: fastrnn.RNN(I, H, seed=1, **o),
    "LSTM": lambda **o: fastrnn.LSTM(I, H, seed=1, **o),
    "GRU": lambda **o: fastrnn.GRU(I, H, seed=1, **o),
}


def problem(rng: np.random.Generator, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    """x, and classes, some of which are ignored."""
    targets = rng.integers(0, V, (T, B))
    targets[rng.random((T, B)) < 0.2] = -100
    return rng.standard_normal((T, B, I)).astype(dtype), targets


def joined(layer: Any, tbptt: tuple[int, int] | None, reduction: str = "mean") -> Any:
    """A layer with softmax."""
    head = losses.LinearCrossEntropy(H, V, reduction=reduction, dtype=str(layer.dtype), seed=2)
    return fastrnn.value_and_grad(layer, head, tbptt=tbptt)


def in_windows(layer: Any, x: np.ndarray, dy: np.ndarray, k1: int, k2: int) -> dict[str, np.ndarray]:
    """The weight gradients by the reference: each k1 steps of dy go back through k2 steps and no further."""
    wide = [None if w is None else w.astype(np.longdouble) for w in layer._weights[0]]
    cell, weights = CELLS[layer.cell], sequence.Weights(*wide)
    states = sequence.forward(cell, x.astype(np.longdouble), weights)[2].states
    total = {name: np.zeros(p.shape, np.longdouble) for name, p in layer.params.items()}
    for first in range(0, len(x), k1):
        begin, end = max(0, first + k1 - k2), min(first + k1, len(x))
        part, late = x[begin:end].astype(np.longdouble), np.zeros((end - begin, *dy.shape[1:]), np.longdouble)
        late[first - begin :] = dy[first:end]
        _, _, saved = sequence.forward(cell, part, weights, states[begin])
        found = sequence.backward(cell, saved, part, weights, late).weights
        for name, d in zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), found, strict=False):
            total[name] += d
    return total


def is_the_reference(
    rng: np.random.Generator, layer: Any, pair: tuple[int, int], want: tuple[int, int]
) -> None:
    """Loss, state and gradients with tbptt=pair are those of windows of `want`."""
    x, targets = problem(rng)
    f = joined(layer, pair)
    (y, state), _ = layer.vjp(x)
    loss, dy = f.children["loss"].value_and_grad(y, targets)
    head = f.children["loss"].flat_grads.copy()
    f.zero_grad()
    got, end = f(x, targets)
    checks.close(np.float64(got), np.float64(loss), "loss")
    for a, b in zip(end, state, strict=True):
        checks.same_bits(a, b, "state")
    checks.close(f.children["loss"].flat_grads, head, "gradient", "head")
    for name, d in in_windows(layer, x, dy, *want).items():
        checks.close(layer.grads[name], d, "gradient", name)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_the_reference(rng: np.random.Generator, name: str, pair: tuple[int, int]) -> None:
    is_the_reference(rng, LAYERS[name](dtype="float64"), pair, pair)


@pytest.mark.parametrize("pair", [(4, 9), (5, 5), (23, 23)], ids=str)
@pytest.mark.parametrize("kind", sorted(problems.LAYERS))
def test_every_cell_by_calls(rng: np.random.Generator, kind: str, pair: tuple[int, int]) -> None:
    """As calls of the layer alone say: each k1 steps of dy go back through k2 steps and no further."""
    layer = problems.LAYERS[kind](I, H, dtype="float64", seed=1)
    x, targets = problem(rng)
    head = losses.LinearCrossEntropy(layer.output_size, V, dtype="float64", seed=2)
    f = fastrnn.value_and_grad(layer, head, tbptt=pair)
    states, outputs = [None], []
    for t in range(T):
        y, state = layer(x[t : t + 1], states[-1])
        outputs.append(y)
        states.append(state)
    _, dy = head.value_and_grad(np.concatenate(outputs), targets)
    k1, k2 = pair
    for first in range(0, T, k1):
        begin, end = max(0, first + k1 - k2), min(first + k1, T)
        late = np.zeros((end - begin, *dy.shape[1:]))
        late[first - begin :] = dy[first:end]
        _, pullback = layer.vjp(x[begin:end], states[begin])
        pullback(late)
    want = layer.flat_grads.copy()
    f.zero_grad()
    _, end_state = f(x, targets)
    checks.close(layer.flat_grads, want, "gradient")
    for a, b in zip(end_state, states[-1], strict=True):
        checks.same_bits(a, b, "state")


@pytest.mark.parametrize("wrong", [(3, 6), (3, 8), (2, 7), (7, 7)])
def test_the_check_sees_another_window(rng: np.random.Generator, wrong: tuple[int, int]) -> None:
    with pytest.raises(AssertionError):
        is_the_reference(rng, LAYERS["LSTM"](dtype="float64"), (3, 7), wrong)


def test_a_tanh_network_by_hand(rng: np.random.Generator) -> None:
    """The recurrent matrix's gradient, written out as sums over t of the errors of the last k2 steps."""
    layer = fastrnn.RNN(I, H, bias=False, dtype="float64", seed=1)
    x, targets = rng.standard_normal((T, 1, I)), rng.standard_normal((T, 1, H))
    k1, k2 = 3, 7
    f = fastrnn.value_and_grad(layer, losses.MSE("sum"), tbptt=(k1, k2))
    f(x, targets)
    w, r = layer.params["weight_ih_l0"], layer.params["weight_hh_l0"]
    h = [np.zeros(H)]
    for t in range(T):
        h.append(np.tanh(w @ x[t, 0] + r @ h[-1]))
    want = np.zeros_like(r)
    for t in range(T):
        first = t // k1 * k1
        delta = 2 * (h[t + 1] - targets[t, 0])
        for k in range(t, max(0, first + k1 - k2) - 1, -1):
            delta = delta * (1 - h[k + 1] ** 2)
            want += np.outer(delta, h[k])
            delta = r.T @ delta
    checks.close(layer.grads["weight_hh_l0"], want, "gradient", "weight_hh_l0")


@pytest.mark.parametrize("k", [T, T + 1, 1000])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_one_window_is_the_whole(rng: np.random.Generator, dtype: np.dtype, reduction: str, k: int) -> None:
    x, targets = problem(rng, dtype.name)
    mask = rng.random((T, B)) < 0.7
    runs = []
    for pair in (None, (k, k)):
        layer = fastrnn.LSTM(I, H, 2, dropout=0.3, dtype=dtype.name, seed=1)
        f = joined(layer, pair, reduction)
        loss, state = f(x, targets, key=5, mask=mask)
        runs.append({"loss": np.float64(loss), "h": state[0], "c": state[1], "grads": f.flat_grads})
    checks.runs_same_bits(*runs)


def test_equal_numbers_are_chunks_with_the_state_carried_on(rng: np.random.Generator) -> None:
    """Dropout masks too: they belong to the absolute step."""
    x, targets = problem(rng, "float32")
    layer = fastrnn.LSTM(I, H, 2, dropout=0.3, seed=1)
    f = joined(layer, (5, 5), "sum")
    loss, _ = f(x, targets, key=9, step=100)
    got = f.flat_grads.copy()
    f.zero_grad()
    whole = fastrnn.value_and_grad(layer, f.children["loss"])
    want, state = 0.0, None
    for t in range(0, T, 5):
        part, state = whole(x[t : t + 5], targets[t : t + 5], state, 9, 100 + t)
        want += part
    assert loss == want
    checks.same_bits(got, whole.flat_grads)


def test_masks_of_dropout_are_those_of_the_whole(rng: np.random.Generator) -> None:
    """k2 = T and one loss at the end: the whole gradient, through windows that advance with dropout."""
    x, targets = problem(rng)
    mask = np.zeros((T, B), bool)
    mask[-1] = True
    found = []
    for pair in (None, (2, T + 1)):
        f = joined(fastrnn.LSTM(I, H, 2, dropout=0.4, dtype="float64", seed=1), pair)
        _, (h, _) = f(x, np.abs(targets) % V, key=3, mask=mask)
        found.append((h, f.flat_grads))
    checks.same_bits(found[0][0], found[1][0])
    checks.close(found[1][1], found[0][1], "gradient")


def test_batch_first(rng: np.random.Generator) -> None:
    x, targets = problem(rng)
    found = []
    for first in (False, True):
        layer = fastrnn.GRU(I, H, batch_first=first, dtype="float64", seed=1)
        f = joined(layer, (3, 7))
        f(x.swapaxes(0, 1) if first else x, targets.T if first else targets)
        found.append(layer.flat_grads)
    checks.close(*found, "gradient")


def test_a_model_of_layers_in_a_trainer(rng: np.random.Generator) -> None:
    words = rng.integers(0, V, (40, 5)).astype(np.int32)
    body = fastrnn.Sequential(
        fastrnn.Embedding(V, I, seed=1), fastrnn.LSTM(I, H, seed=2), fastrnn.Dropout(0.1)
    )
    f = fastrnn.value_and_grad(body, losses.LinearCrossEntropy(H, V, seed=3), tbptt=(4, 8))
    assert f.tbptt == (4, 8)
    trainer = fastrnn.Trainer(f, fastrnn.optim.Adam(f, lr=0.03), max_norm=1.0)
    before = f.loss(words, words)[0]
    trainer.fit([(words, words)], epochs=20)
    assert f.loss(words, words)[0] < 0.7 * before


def test_nothing_to_learn_from(rng: np.random.Generator) -> None:
    x, targets = problem(rng)
    for pair in (None, (5, 9)):
        f = joined(LAYERS["RNN"](dtype="float64"), pair)
        loss, (h,) = f(x, np.full_like(targets, -100))
        assert np.isnan(loss)
        assert h.any()
        assert not f.flat_grads.any()


def bytes_kept(steps: int, tbptt: tuple[int, int] | None) -> int:
    """The most memory that a call has beyond its arguments, of NumPy and of the pool."""
    layer = fastrnn.LSTM(I, 32, seed=1)
    f = fastrnn.value_and_grad(layer, losses.LinearCrossEntropy(32, V, seed=2), tbptt=tbptt)
    rng = np.random.default_rng(1)
    x, targets = rng.standard_normal((steps, 2, I), np.float32), rng.integers(0, V, (steps, 2))
    fastrnn.clear_cache()
    pool = _core.cache_info()
    tracemalloc.start()
    f(x, targets)
    numpy = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    after = _core.cache_info()
    return numpy + sum(after[part] - pool[part] for part in ("in_use", "cached"))


def test_memory_follows_k2_alone() -> None:
    few, many = (bytes_kept(steps, (50, 100)) for steps in (1_000, 100_000))
    assert many < 1.1 * few
    assert bytes_kept(10_000, None) > 5 * few


ERRORS: dict[str, tuple[Any, type[Exception], str]] = {
    "no pair": (5, TypeError, "tbptt: expected a pair (k1, k2), got 5"),
    "three": ((1, 2, 3), TypeError, "tbptt: expected a pair (k1, k2), got tuple"),
    "zero": ((0, 5), ValueError, "tbptt: k1: expected an int >= 1, got 0"),
    "float": ((1, 5.0), TypeError, "tbptt: k2: expected an int, got 5.0"),
    "order": ((5, 3), ValueError, "tbptt: expected k1 <= k2, got (5, 3)"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_bad_pairs(name: str) -> None:
    tbptt, kind, message = ERRORS[name]
    with pytest.raises(kind) as raised:
        joined(LAYERS["LSTM"](), tbptt)
    assert str(raised.value) == message


def test_what_it_cannot_cut(rng: np.random.Generator) -> None:
    head = losses.LinearCrossEntropy(2 * H, V)
    x, targets = problem(rng, "float32")

    class Foreign(fastrnn.Linear):
        value_and_grad = total = None

    for make, kind, message in (
        (
            lambda: fastrnn.value_and_grad(fastrnn.Linear(I, 2 * H), head, tbptt=(1, 2)),
            ValueError,
            "tbptt: expected None for a model that is not recurrent, got (1, 2)",
        ),
        (
            lambda: fastrnn.value_and_grad(fastrnn.GRU(I, H, bidirectional=True), head, tbptt=(1, 2)),
            ValueError,
            "tbptt: expected None for a bidirectional model, got (1, 2)",
        ),
        (
            lambda: fastrnn.value_and_grad(fastrnn.GRU(I, H), Foreign(H, 1), tbptt=(1, 2)),
            TypeError,
            "loss: expected one of fastrnn.losses with tbptt, got Foreign",
        ),
        (
            lambda: joined(LAYERS["GRU"](), (1, 2))(x, targets[:5]),
            ValueError,
            "targets: expected first axes (T, B) = (23, 3) with tbptt, got (5, 3)",
        ),
        (
            lambda: joined(LAYERS["GRU"](), (1, 2))(x[0, 0], targets),
            ValueError,
            "x: expected shape (T, B, ...), got (4,)",
        ),
    ):
        with pytest.raises(kind) as raised:
            make()
        assert str(raised.value) == message
