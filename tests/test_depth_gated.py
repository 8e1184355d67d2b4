"""DepthGatedLSTM: against autograd on its definition, and what every layer promises."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import checks
import numpy as np
import pytest
from conftest import peer
from errors import Case, H, I, X, check
from mutants import mutant
from problems import Problem, run_cells, run_layer, state_shapes
from test_ragged import equal, one_row, run

import fastrnn
from fastrnn import DepthGatedLSTM, _core

T, B = 9, 5
OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False, "batch_first": True},
    {"num_layers": 3, "bidirectional": True},
    {"num_layers": 4},
]


def problem_of(rng: np.random.Generator, dtype: str = "float64", steps: int = T, **options: Any) -> Problem:
    layer = DepthGatedLSTM(4, 19, dtype=dtype, seed=1, **options)
    layer.flat_grads[:] = rng.standard_normal(layer.flat_grads.size)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(dtype)

    state, dstate = (tuple(normal(*s) for s in state_shapes(layer, B)) for _ in range(2))
    return Problem(
        "DepthGated", layer, normal(steps, B, 4), normal(steps, B, 19 * layer.directions), state, dstate
    )


@pytest.fixture
def torch_cells() -> Any:
    """Importing them needs PyTorch."""
    peer("torch")
    return importlib.import_module("torch_cells")


@pytest.mark.peer
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_oracle(
    torch_cells: Any, isa: str, rng: np.random.Generator, dtype: np.dtype, options: dict[str, Any]
) -> None:
    for steps in (1, T, 67):
        problem = problem_of(rng, dtype.name, steps, **options)
        checks.runs_close(run_layer(problem), run_cells(torch_cells, problem), "peer", "peer")


@pytest.mark.peer
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("new = d * below +", "new = d * below.detach() +"),
        ("by_c * c +", ""),
        ("by_below * below", "by_below"),
    ],
)
def test_oracle_twin(torch_cells: Any, rng: np.random.Generator, right: str, wrong: str) -> None:
    problem = problem_of(rng, **OPTIONS[2])
    with pytest.raises(AssertionError, match="eps, allowed"):
        checks.runs_close(
            run_layer(problem), run_cells(mutant(torch_cells, right, wrong), problem), "peer", "peer"
        )


@pytest.mark.usefixtures("threads")
def test_threads(rng: np.random.Generator) -> None:
    problem = problem_of(rng, "float32", **OPTIONS[2])
    checks.threads_change_nothing(lambda: run_layer(problem), (1, 2, 7))


@pytest.mark.parametrize("options", OPTIONS[:3], ids=str)
def test_rows_of_unlike_lengths_are_as_if_alone(rng: np.random.Generator, options: dict[str, Any]) -> None:
    problem = replace(problem_of(rng, **{**options, "batch_first": False}))
    lengths = np.array([3, T, 0, 5, T])
    whole = run(problem.layer, problem.x, problem.state, problem.dy, problem.dstate, lengths)
    for b, n in enumerate(lengths):
        if n:
            x, dy = problem.x[:n, b : b + 1], problem.dy[:n, b : b + 1]
            state, dlast = (tuple(s[:, b : b + 1].copy() for s in a) for a in (problem.state, problem.dstate))
            equal(one_row(whole, b, n), one_row(run(problem.layer, x, state, dy, dlast), 0, n))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_plain_calls_and_tokens(rng: np.random.Generator, options: dict[str, Any]) -> None:
    embedding = fastrnn.Embedding(7, 4, dtype="float64", seed=2)
    layer = DepthGatedLSTM(4, 19, dtype="float64", seed=1, **options)
    tokens = rng.integers(0, 7, (T, B))
    (want, last), _ = layer.vjp(embedding(tokens))
    for y, final in (layer(embedding(tokens)), layer._infer(tokens, None, embedding.params["weight"])):
        checks.close(y, want, "identity")
        for a, b in zip(final, last, strict=True):
            checks.close(a, b, "identity")


def test_chunks(rng: np.random.Generator) -> None:
    problem = problem_of(rng)
    y, final = problem.layer(problem.x, problem.state)
    first, state = problem.layer(problem.x[:4], problem.state)
    second, last = problem.layer(problem.x[4:], state)
    checks.same_bits(np.concatenate([first, second]), y.copy())
    for a, b in zip(last, final, strict=True):
        checks.same_bits(a, b)


ERRORS: dict[str, Case] = {
    "one layer": (
        lambda: DepthGatedLSTM(I, H, 1),
        ValueError,
        "num_layers: expected an int >= 2, got 1",
    ),
    "prepare": (
        lambda: DepthGatedLSTM(I, H).prepare(),
        ValueError,
        "prepare: expected levels that see y of the level below alone, got DepthGatedLSTM",
    ),
    "dropout": (
        lambda: DepthGatedLSTM(I, H, recurrent_dropout=0.5),
        ValueError,
        "recurrent_dropout: expected 0 for DepthGatedLSTM, got 0.5",
    ),
    "zoneout": (
        lambda: DepthGatedLSTM(I, H, zoneout=0.5),
        ValueError,
        "zoneout: expected 0 for DepthGatedLSTM, got (0.5, 0.5)",
    ),
    "projection": (
        lambda: DepthGatedLSTM(I, H, proj_size=2),
        ValueError,
        "proj_size: expected 0 for DepthGatedLSTM, got 2",
    ),
    "side of a GRU": (
        lambda: _core.recurrent_forward(
            "gru", X, None, tuple(fastrnn.GRU(I, H).params.values()), None, False, True, side=X
        ),
        TypeError,
        "side: expected None for this cell, got an array",
    ),
    "cells of a GRU": (
        lambda: _core.recurrent_forward(
            "gru", X, None, tuple(fastrnn.GRU(I, H).params.values()), None, False, True, cells=X
        ),
        TypeError,
        "cells: expected None for a cell without c, got an array",
    ),
}


@pytest.mark.parametrize("what", ERRORS)
def test_errors(what: str) -> None:
    check(ERRORS[what])
