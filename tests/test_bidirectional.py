"""Bidirectional layers: what two directions are made of, in bits where it is a promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import checks
import numpy as np
import pytest
from mutants import one_bit_off
from ops import Run
from problems import LAYERS, Problem, make_problem, run_layer

import fastrnn
from fastrnn import _core

T, B, I, H, V = 6, 5, 7, 17, 9
SHAPE = (T, B, I, H)
SPLITS = [(9, 1, 5, 40), (9, 23, 5, 16), (7, 6, 33, 65)]  # one row, many rows, neither


def normal(rng: np.random.Generator, dtype: Any, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(dtype)


def directions_are_two_layers(problem: Problem) -> None:
    """Of one level: the forward layer on x beside the forward layer with the other parameters on x reversed.

    Outputs, states and their gradients in bits, dx and the parameters' gradients within rounding.
    """
    layer, dtype = problem.layer, problem.x.dtype
    got, want = run_layer(problem), dict[str, np.ndarray]()
    dx, parts = np.zeros_like(problem.x), []
    for direction, suffix in enumerate(("", "_reverse")):
        one = LAYERS[problem.kind](I, H, bias=layer.bias, dtype=dtype.name)
        one.load_params({name: layer.params[name + suffix] for name in one.params})
        for name, a in one.grads.items():
            a[...] = layer.grads[name + suffix]
        order = slice(None, None, -1 if direction else 1)
        side = slice(direction * layer.output_size, (direction + 1) * layer.output_size)

        def of(states: tuple | None, place: int = direction) -> tuple | None:
            return None if states is None else tuple(s[place : place + 1] for s in states)

        run = run_layer(
            Problem(
                problem.kind, one,
                np.ascontiguousarray(problem.x[order]),
                np.ascontiguousarray(problem.dy[order][..., side]),
                of(problem.state), of(problem.dstate),
            )
        )  # fmt: skip
        dx += run["d x"][order]
        want |= {f"d {name}{suffix}": run[f"d {name}"] for name in one.params}
        parts.append((run["y"][order], run))
    want["d x"] = dx
    checks.runs_agree({name: got[name] for name in want}, want)
    bits = {"y": np.concatenate([y for y, _ in parts], axis=-1)}
    for name in (*layer.states, *(f"d {s}" for s in layer.states)):
        bits[name] = np.concatenate([run[name] for _, run in parts])
    checks.runs_same_bits({name: got[name] for name in bits}, bits)
    assert set(got) == {*want, *bits}


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"state": False}, {"batch_first": True}], ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_directions_are_two_layers(
    rng: np.random.Generator, dtype: np.dtype, kind: str, options: dict[str, Any]
) -> None:
    directions_are_two_layers(make_problem(rng, kind, SHAPE, dtype, bidirectional=True, **options))


@pytest.mark.parametrize("shape", SPLITS, ids=str)
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.usefixtures("threads")
def test_threads(rng: np.random.Generator, kind: str, shape: tuple[int, int, int, int]) -> None:
    problem = make_problem(rng, kind, shape, "float32", num_layers=3, bidirectional=True)
    checks.threads_change_nothing(lambda: run_layer(problem), (1, 2, 7))


def rows_are_alone(problem: Problem, row: int, run: Callable[[Problem], Run]) -> None:
    """One row alone is the same row in its batch: output, states, their gradients and dx, bit for bit."""

    def only(a: Any) -> Any:
        return None if a is None else tuple(np.ascontiguousarray(s[:, row : row + 1]) for s in a)

    x, dy = only((problem.x, problem.dy))
    alone = run(Problem(problem.kind, problem.layer, x, dy, only(problem.state), only(problem.dstate)))
    states = problem.layer.states
    names = ["y", "d x", *states, *(f"d {s}" for s in states)]
    whole = run(problem)
    checks.runs_same_bits({n: alone[n] for n in names}, {n: whole[n][:, row : row + 1] for n in names})


@pytest.mark.parametrize("kind", LAYERS)
def test_rows(rng: np.random.Generator, dtype: np.dtype, kind: str) -> None:
    problem = make_problem(rng, kind, SHAPE, dtype, num_layers=2, bidirectional=True)
    rows_are_alone(problem, 3, run_layer)


def a_plain_call_is_vjp(layer: Any, x: np.ndarray) -> None:
    """What is kept for the backward pass changes no bit."""
    y, final = layer(x)
    (kept, kept_final), _ = layer.vjp(x)
    checks.same_bits(y, kept)
    for a, b in zip(final, kept_final, strict=True):
        checks.same_bits(a, b)


@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"num_layers": 3}], ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_a_plain_call_is_vjp(rng: np.random.Generator, kind: str, options: dict[str, Any]) -> None:
    layer = LAYERS[kind](I, H, bidirectional=True, seed=1, **options)
    a_plain_call_is_vjp(layer, normal(rng, "float32", T, B, I))


def tokens_are_rows(kind: str, rng: np.random.Generator, vocabulary: int, options: dict[str, Any]) -> None:
    """An Embedding joined with the layer behind it is the two of them apart."""
    first = fastrnn.Embedding(vocabulary, I, dtype="float64", seed=1)
    second = LAYERS[kind](I, H, bidirectional=True, dtype="float64", seed=2, **options)
    model = fastrnn.Sequential(
        fastrnn.Embedding(vocabulary, I, dtype="float64", seed=1),
        LAYERS[kind](I, H, bidirectional=True, dtype="float64", seed=2, **options),
    )
    tokens = rng.integers(0, vocabulary, (T, B))
    dy = normal(rng, "float64", T, B, 2 * second.output_size)
    (y, state), pullback = model.vjp(tokens)
    _, dstate = pullback(dy)
    rows, to_rows = first.vjp(tokens)
    (want_y, want_state), to_x = second.vjp(rows)
    dx, want_dstate = to_x(dy)
    to_rows(dx)
    want = {"y": want_y, "d h": want_dstate[0], "h": want_state[0]}
    want |= {f"d 0.{name}": a for name, a in first.grads.items()}
    want |= {f"d 1.{name}": a for name, a in second.grads.items()}
    got = {"y": y, "d h": dstate[0][0], "h": state[0][0], **{f"d {n}": a for n, a in model.grads.items()}}
    checks.runs_agree(got, want)


@pytest.mark.parametrize("vocabulary", [V, T * B, T * B + 1], ids=["joined", "just joined", "apart"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"batch_first": True}], ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_tokens(rng: np.random.Generator, kind: str, options: dict[str, Any], vocabulary: int) -> None:
    tokens_are_rows(kind, rng, vocabulary, options)


def allocates_nothing(train: Callable[[], None]) -> None:
    """After three rounds everything comes from the pool, and goes back to it."""
    for _ in range(3):
        train()
    before = _core.cache_info()
    for _ in range(5):
        train()
    after = _core.cache_info()
    assert after["acquisitions"] > before["acquisitions"]
    assert after["system_allocations"] == before["system_allocations"]
    assert after["in_use"] == before["in_use"]


@pytest.mark.parametrize("kind", LAYERS)
def test_steady_training_allocates_nothing(rng: np.random.Generator, kind: str) -> None:
    problem = make_problem(rng, kind, (21, 9, 24, 40), "float32", num_layers=2, bidirectional=True)

    def train() -> None:
        (_, _), pullback = problem.layer.vjp(problem.x, problem.state)
        pullback(problem.dy, problem.dstate)

    allocates_nothing(train)


def test_dropout_is_between_the_levels(rng: np.random.Generator) -> None:
    layer = fastrnn.GRU(I, H, 2, bidirectional=True, dropout=0.5, dtype="float64", seed=1)
    levels = [fastrnn.GRU(width, H, bidirectional=True, dtype="float64") for width in (I, 2 * H)]
    for k, level in enumerate(levels):
        names = {name: name.replace("_l0", f"_l{k}") for name in level.params}
        level.load_params({name: layer.params[ours] for name, ours in names.items()})
    x = normal(rng, "float64", T, B, I)
    (y, _), _ = layer.vjp(x, key=3)
    middle, _ = levels[0](x)
    assert not np.array_equal(y, levels[1](middle)[0])
    masked = _core.dropout(middle, 0.5, fastrnn._random.fold(3, 0), 0, False)
    checks.same_bits(y, levels[1](masked)[0])
    assert 0.35 < (masked == 0).mean() < 0.65


def test_dropout_masks_the_gradient_alike(rng: np.random.Generator) -> None:
    """Of a linear network, <dy, f(x + d) - f(x)> = <dx, d>."""
    options = {"nonlinearity": "identity", "bidirectional": True, "dropout": 0.4, "dtype": "float64"}
    layer = fastrnn.RNN(I, H, 3, seed=1, **options)
    x, d, dy = (normal(rng, "float64", T, B, width) for width in (I, I, 2 * H))
    (y, _), pullback = layer.vjp(x, key=5, step=3)
    (moved, _), _ = layer.vjp(x + d, key=5, step=3)
    dx, _ = pullback(dy)
    checks.close(np.vdot(dy, moved - y), np.vdot(dx, d), "identity", "<dx, d>")


@pytest.mark.parametrize("kind", LAYERS)
def test_no_steps_hand_the_state_on(rng: np.random.Generator, dtype: np.dtype, kind: str) -> None:
    problem = make_problem(rng, kind, (0, B, I, H), dtype, num_layers=2, bidirectional=True)
    run = run_layer(problem)
    assert run["y"].shape == (0, B, 2 * problem.layer.output_size)
    for name, first, dlast in zip(problem.layer.states, problem.state, problem.dstate, strict=True):
        checks.same_bits(run[name], first, name)
        checks.same_bits(run[f"d {name}"], dlast, f"d {name}")
    for name, before in problem.layer.grads.items():
        checks.same_bits(run[f"d {name}"], before, name)


@pytest.mark.parametrize("kind", LAYERS)
def test_strides_change_nothing(rng: np.random.Generator, dtype: np.dtype, kind: str) -> None:
    problem = make_problem(rng, kind, SHAPE, dtype, num_layers=2, bidirectional=True)
    views = {}
    for name, a in (("x", problem.x), ("dy", problem.dy)):
        views[name] = np.zeros((T, 2 * B, a.shape[-1] + 3), dtype)[::-1, ::2, 3:]
        views[name][...] = a
    checks.runs_same_bits(run_layer(replace(problem, **views)), run_layer(problem))


class TestTwins:
    """Each check of this file notices what is wrong."""

    @pytest.mark.parametrize("kind", LAYERS)
    def test_directions(self, rng: np.random.Generator, kind: str) -> None:
        problem = make_problem(rng, kind, SHAPE, bidirectional=True)
        layer, vjp = problem.layer, problem.layer.vjp

        def swapped(x: np.ndarray, state: Any) -> Any:
            (y, final), pullback = vjp(x, tuple(s[::-1].copy() for s in state))
            return (y, final), pullback

        layer.vjp = swapped
        with pytest.raises(AssertionError):
            directions_are_two_layers(problem)
        layer.vjp = lambda x, state: vjp(np.ascontiguousarray(x[::-1]), state)
        with pytest.raises(AssertionError):
            directions_are_two_layers(problem)
        layer.vjp = vjp
        directions_are_two_layers(problem)

    @pytest.mark.usefixtures("threads")
    def test_threads(self, rng: np.random.Generator) -> None:
        problem = make_problem(rng, "Lstm", SHAPE, "float32", bidirectional=True)

        def run() -> Run:
            found = run_layer(problem)
            return one_bit_off(found, "d x") if _core.get_num_threads() == 7 else found

        with pytest.raises(AssertionError):
            checks.threads_change_nothing(run, (1, 2, 7))

    def test_rows(self, rng: np.random.Generator) -> None:
        problem = make_problem(rng, "Lstm", SHAPE, "float32", bidirectional=True)

        def run(problem: Problem) -> Run:
            return one_bit_off(run_layer(problem), "d c") if problem.x.shape[1] == 1 else run_layer(problem)

        with pytest.raises(AssertionError):
            rows_are_alone(problem, B - 1, run)

    def test_plain_calls(self, rng: np.random.Generator) -> None:
        layer = fastrnn.GRU(I, H, bidirectional=True, seed=1)
        vjp = layer.vjp
        layer.vjp = lambda x: vjp(x * np.float32(1.01))  # type: ignore[method-assign]
        with pytest.raises(AssertionError):
            a_plain_call_is_vjp(layer, normal(rng, "float32", T, B, I))

    def test_tokens(self, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
        trace = fastrnn.layers.recurrent.Recurrent._trace

        def wrong(self: Any, x: Any, state: Any, lengths: Any, key: Any, step: int, table: Any) -> Any:
            return trace(self, x, state, lengths, key, step, None if table is None else table[::-1].copy())

        monkeypatch.setattr(fastrnn.layers.recurrent.Recurrent, "_trace", wrong)
        with pytest.raises(AssertionError):
            tokens_are_rows("Lstm", rng, V, {})

    def test_allocations(self) -> None:
        kept = []
        with pytest.raises(AssertionError):
            allocates_nothing(lambda: kept.append(_core.empty((1 << 12,), np.zeros(1, np.float32))))
