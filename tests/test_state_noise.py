"""Recurrent dropout and zoneout: definition, oracle, bits, messages."""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any

import checks
import numpy as np
import pytest
import recurrent
import recurrent_cases
from conftest import SEED, peer
from errors import Case, H, I, X, check
from mutants import mutant
from ops import Run
from problems import LAYERS, Problem, make_problem, run_cells, run_layer
from recurrent_cases import few_units, make_case

from fastrnn import GRU, LSTM, RNN, MinGRU, _core, reference
from fastrnn._random import fold
from fastrnn.reference.state_noise import Noise

T, B = 9, 5
KEY, STEP = 11, 4
TRAITS = _core.cells()
CELLS = list(reference.CELLS)


def options_of(kind: str) -> dict[str, Any]:
    """As much noise as the cell takes."""
    layer = LAYERS[kind](2, 2)
    if not layer._one_pass:
        return {}
    traits = TRAITS[layer.cell]
    drop = {"recurrent_dropout": 0.3} if traits["recurrent_gates"] else {}
    return drop if traits["sees_made_states"] else {**drop, "zoneout": 0.4}


NOISY = [kind for kind in LAYERS if options_of(kind)]


def masks(layer: Any, place: int, steps: int, rows: int) -> Noise:
    """By their definition."""
    ones = [np.ones((steps, rows, width)) for width in layer.state_sizes]
    dropout, p = reference.dropout.dropout, layer.recurrent_dropout
    drop = dropout(ones[0][0], p, fold(KEY, -1, place)) if p else None
    zone = [
        (dropout(one, q, fold(KEY, -2 - j, place), STEP) == 0).astype("f8")
        for j, (one, q) in enumerate(zip(ones, layer.zoneout, strict=True))
    ]
    return Noise(drop, tuple(zone))


class WithKey:
    """A layer whose vjp has a key and a step, and whose oracle has its masks."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)

    def vjp(self, x: Any, state: Any) -> Any:
        return self._layer.vjp(x, state, key=KEY, step=STEP)


def problem_of(rng: np.random.Generator, kind: str, **more: Any) -> Problem:
    problem = make_problem(rng, kind, (T, B, 4, 19), **options_of(kind), **more)
    return replace(problem, layer=WithKey(problem.layer))


def layer_is_the_oracle(torch_cells: ModuleType, problem: Problem) -> None:
    """Outputs and gradients are those of autograd with the masks of the definition."""
    steps, rows = problem.x.shape[:2]
    layer = problem.layer
    noise = [masks(layer, k, steps, rows) for k in range(layer.num_layers * layer.directions)]
    checks.runs_close(run_layer(problem), run_cells(torch_cells, problem, noise), "peer", "peer")


@pytest.fixture
def torch_cells() -> ModuleType:
    """Importing them needs PyTorch."""
    peer("torch")
    return importlib.import_module("torch_cells")


@pytest.mark.peer
@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 3, "bidirectional": True}, {"batch_first": True}], ids=str
)
@pytest.mark.parametrize("kind", NOISY)
def test_oracle(
    torch_cells: ModuleType, rng: np.random.Generator, dtype: np.dtype, kind: str, options: dict[str, Any]
) -> None:
    layer_is_the_oracle(torch_cells, problem_of(rng, kind, dtype=dtype, **options))


@pytest.mark.peer
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("z * a + (1 - z) * b", "z * b + (1 - z) * a"),
        ('self._seen("hh", self.r_gates, gate, h * self.drop)', 'self._seen("hh", self.r_gates, gate, h)'),
    ],
)
def test_oracle_twins(torch_cells: ModuleType, rng: np.random.Generator, right: str, wrong: str) -> None:
    for kind in ("Lstm", "GruBefore"):
        with pytest.raises(AssertionError, match="eps, allowed"):
            layer_is_the_oracle(mutant(torch_cells, right, wrong), problem_of(rng, kind))


# More than one chunk of steps, several blocks of units, several rows groups.
SHAPES = [(90, 4, 3, 16), (7, 13, 20, 130), (2, 34, 31, 17), (5, 3, 4, 1)]


@cache
def expected(cell: str, shape: Any, dtype: str, vocabulary: int) -> tuple[recurrent_cases.Case, Run]:
    """A case and what the reference says about it, once for all instruction sets."""
    rng = np.random.default_rng(SEED)
    case = make_case(rng, shape, dtype, cell=cell, noise=True, vocabulary=vocabulary)
    return case, recurrent.run_reference(case)


@pytest.mark.parametrize("vocabulary", [0, 5])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_kernels_are_the_reference(isa: str, dtype: np.dtype, cell: str, shape: Any, vocabulary: int) -> None:
    case, want = expected(cell, shape, dtype.name, vocabulary)
    checks.runs_close(recurrent.run_kernel(case), want)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_by_complex_step(rng: np.random.Generator, cell: str) -> None:
    for layers in (1, 2):
        case = make_case(rng, (3, 2, 3, few_units(cell)), cell=cell, layers=layers, noise=True)
        checks.gradients_by_complex_step(*recurrent.reference_functions(case), case.inputs, case.cotangents)


@pytest.mark.parametrize("shape", [(9, 21, 31, 49), (60, 5, 9, 64)], ids=str)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.usefixtures("threads")
def test_bits(rng: np.random.Generator, dtype: np.dtype, cell: str, shape: Any) -> None:
    case = make_case(rng, shape, dtype, cell=cell, noise=True)
    checks.threads_change_nothing(lambda: recurrent.run_kernel(case), (1, 2, 7))
    checks.rows_are_independent(case, np.array([3, 1]), recurrent.run_kernel, checks.runs_same_bits)
    checks.chunks_equal_the_whole(case, [1, 5], recurrent.run_kernel, checks.runs_same_bits)
    fused = tuple(name for name in _core.available_isas() if name in ("avx2", "avx512", "neon"))
    before = _core.isa()
    checks.isas_agree(lambda: recurrent.run_kernel(case), fused)
    _core.use_isa(before)


@pytest.mark.parametrize("kind", NOISY)
def test_inference(rng: np.random.Generator, kind: str) -> None:
    """No mask on h, the mean of zoneout; and step by step the same bits."""
    options = options_of(kind)
    layer = LAYERS[kind](4, 19, 2, dtype="float64", seed=1, **options)
    cell, x = reference.CELLS[layer.cell], rng.standard_normal((T, B, 4))
    weights = [reference.sequence.Weights(*level) for level in layer._weights]
    noise = [Noise(None, tuple(float(p) for p in layer.zoneout))] * 2
    want, states, _ = reference.stack.forward(cell, x, weights, noise=noise)
    y, final = layer(x)
    checks.close(y, want, "forward")
    for k in range(2):
        for got, state in zip(final, states[k], strict=True):
            checks.close(got[k], state, "forward")
    prepared, state = layer.prepare(), None
    for t in range(T):
        step, state = prepared.step(x[t], state)
        checks.same_bits(step.copy(), y[t].copy())


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", NOISY)
def test_lengths_cut_the_padded_call(rng: np.random.Generator, kind: str, bidirectional: bool) -> None:
    """Rows that end early see the masks of the padded call, as far as they go."""
    layer = LAYERS[kind](4, 19, bidirectional=bidirectional, seed=1, **options_of(kind))
    x = rng.standard_normal((T, B, 4)).astype("f4")
    lengths = np.array([3, T, 0, T, 5])
    found = {}
    for name, given in (("cut", lengths), ("full", np.full(B, T)), ("none", None)):
        dy = rng.standard_normal((T, B, layer.output_size * layer.directions)).astype("f4")
        dy = np.random.default_rng(1).standard_normal(dy.shape).astype("f4")
        if name == "cut":
            dy *= np.arange(T)[:, None, None] < lengths[:, None]
        (y, _), pullback = layer.vjp(x, None, given, key=KEY, step=STEP)
        found[name] = y, pullback(dy)[0]
    for got, want in zip(found["full"], found["none"], strict=True):
        checks.same_bits(got.copy(), want.copy())
    long = lengths == T
    for got, want in zip(found["cut"], found["none"], strict=True):
        checks.same_bits(got[:, long].copy(), want[:, long].copy())
    if not bidirectional:
        for b, n in enumerate(lengths):
            checks.same_bits(found["cut"][0][:n, b].copy(), found["none"][0][:n, b].copy())


def test_masks_are_those_of_step_and_key(rng: np.random.Generator) -> None:
    layer = LSTM(4, 40, recurrent_dropout=0.3, zoneout=(0.2, 0.4), seed=1)
    x = rng.standard_normal((T, B, 4)).astype("f4")
    (whole, _), _ = layer.vjp(x, key=KEY, step=STEP)
    (first, state), _ = layer.vjp(x[:4], key=KEY, step=STEP)
    (second, _), _ = layer.vjp(x[4:], state, key=KEY, step=STEP + 4)
    checks.same_bits(np.concatenate([first, second]), whole.copy())
    (other, _), _ = layer.vjp(x, key=KEY + 1, step=STEP)
    assert (other != whole).mean() > 0.9
    (_, (h, _)), _ = layer.vjp(x[:1], key=KEY)
    assert 0.05 < (h == 0).mean() < 0.4  # what zoneout kept of h = 0


def test_zero_is_none(rng: np.random.Generator) -> None:
    x = rng.standard_normal((T, B, 4)).astype("f4")
    plain, other = LSTM(4, 9, seed=1), LSTM(4, 9, recurrent_dropout=0.0, zoneout=(0.0, 0), seed=1)
    checks.same_bits(plain(x)[0].copy(), other.vjp(x)[0][0].copy())


def test_masks_take_no_part_in_a_plain_call() -> None:
    assert repr(GRU(2, 3, recurrent_dropout=0.5)) == "GRU(2, 3, recurrent_dropout=0.5)"
    assert repr(LSTM(2, 3, zoneout=0.5)) == "LSTM(2, 3, zoneout=(0.5, 0.5))"
    x = np.ones((T, B, 2), "f4")
    plain, other = GRU(2, 3, seed=1), GRU(2, 3, recurrent_dropout=0.5, seed=1)
    checks.same_bits(plain(x)[0].copy(), other(x)[0].copy())


ERRORS: dict[str, Case] = {
    "dropout of one": (
        lambda: LSTM(I, H, recurrent_dropout=1.0),
        ValueError,
        "recurrent_dropout: expected 0 <= recurrent_dropout < 1, got 1",
    ),
    "dropout of no product": (
        lambda: MinGRU(I, H, recurrent_dropout=0.5),
        ValueError,
        "recurrent_dropout: expected 0 for MinGRU, got 0.5",
    ),
    "zoneout of one": (lambda: RNN(I, H, zoneout=1), ValueError, "zoneout: expected 0 <= zoneout < 1, got 1"),
    "zoneout of two": (
        lambda: GRU(I, H, zoneout=(0.1, 0.2)),
        ValueError,
        "zoneout: expected a number or a tuple (h), got 2 of them",
    ),
    "zoneout text": (lambda: GRU(I, H, zoneout="x"), TypeError, "zoneout: expected a number, got 'x'"),
    "zoneout and peepholes": (
        lambda: LSTM(I, H, peephole="diagonal", zoneout=0.1),
        ValueError,
        "zoneout: expected 0 for LSTM with peepholes, got (0.1, 0.1)",
    ),
    "zoneout and full peepholes": (
        lambda: LSTM(I, H, peephole="full", zoneout=(0, 0.1)),
        ValueError,
        "zoneout: expected 0 for LSTM with peepholes, got (0.0, 0.1)",
    ),
    "no key for dropout": (
        lambda: GRU(I, H, recurrent_dropout=0.5).vjp(X),
        ValueError,
        "key: expected an int because recurrent_dropout is 0.5, got None",
    ),
    "no key for zoneout": (
        lambda: LSTM(I, H, zoneout=(0, 0.25)).vjp(X),
        ValueError,
        "key: expected an int because zoneout is 0.25, got None",
    ),
}


@pytest.mark.parametrize("what", ERRORS)
def test_errors(what: str) -> None:
    check(ERRORS[what])


def test_errors_of_the_extension() -> None:
    w = tuple(LSTM(I, H).params.values())
    for noise, message in (
        ({"drop": np.zeros((2, H), "f4")}, r"drop: expected shape \(B, H\)"),
        ({"zone": (None,)}, "zone: expected 2 arrays, got 1"),
        ({"zone": (np.zeros((1, 3, H), "f4"), None)}, "zone: expected shape"),
    ):
        with pytest.raises(ValueError, match=message):
            _core.recurrent_forward("lstm", X, None, w, None, False, True, **noise)
    w = tuple(LSTM(I, H, peephole="diagonal").params.values())
    with pytest.raises(ValueError, match="zone: expected None for a cell whose gates see c'"):
        _core.recurrent_forward("lstm_peephole", X, None, w, None, False, True, zone=(0.1, 0.1))
    w = (*MinGRU(I, H).params.values(),)
    with pytest.raises(TypeError, match="drop: expected None for a cell without recurrent products"):
        _core.recurrent_forward(
            "min_gru", X, None, (w[0], None, w[1], None), None, False, True, drop=np.zeros((3, H), "f4")
        )
