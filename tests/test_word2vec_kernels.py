"""The word2vec kernels are the reference, step for step."""

from __future__ import annotations

from functools import cache
from typing import Any

import checks
import numpy as np
import pytest
from conftest import SEED
from ops import Run
from word2vec import OUTPUTS, Problem, make_problem, run_kernel, run_reference

from fastrnn import _core

MODES: dict[str, dict[str, Any]] = {
    "skip-gram": {},
    "skip-gram classic": {"shared": False},
    "cbow mean": {"cbow": True},
    "cbow sum": {"cbow": True, "mean": False},
    "cbow classic": {"cbow": True, "shared": False},
    "fixed windows": {"shrink": False},
    "locked": {"locks": 30},
    "locked by three": {"locks": 3, "shared": False},
    "locked cbow": {"locks": 30, "cbow": True},
    "many negatives": {"negative": 13},
    "few negatives": {"negative": 1, "window": 9},
    "size of a block": {"size": 16},
    "one more than a block": {"size": 17},
    "size 1": {"size": 1},
    "n-grams": {"bags": True},
    "n-grams cbow": {"bags": True, "cbow": True},
    # Half the words: a row of n-grams is in 9 of 30 bags, and what rounds spreads faster (the whole corpus in
    # NumPy's float32: 17 to 26 eps, without bags 5 to 7).
    "n-grams cbow sum": {"bags": True, "cbow": True, "mean": False, "shared": False, "longest": 20},
    "n-grams classic": {"bags": True, "shared": False},
    "n-grams locked": {"bags": True, "locks": 5, "window": 4},
    "n-grams locked cbow": {"bags": True, "locks": 2, "cbow": True},
    "documents": {"tags": True, "windows": False},
    "documents and words": {"tags": True, "locks": 5},
    "documents classic": {"tags": True, "shared": False},
    "documents cbow": {"tags": True, "cbow": True},
    "documents cbow sum": {"tags": True, "cbow": True, "mean": False},
    "joined": {"tags": True, "cbow": True, "joined": 1},
    "joined two": {"tags": True, "cbow": True, "joined": 2, "window": 2, "size": 17, "locks": 5},
    "joined classic": {"tags": True, "cbow": True, "joined": 1, "shared": False, "size": 1},
    "documents alone": {"tags": True, "windows": False, "fixed_outputs": True},
}


@cache
def expected(mode: str, outputs: str, deterministic: bool) -> tuple[Problem, Run]:
    """A problem and what the reference says about it, once for all instruction sets: a second of NumPy."""
    blocks = (
        {"deterministic": True, "words": 1024} if deterministic else {}
    )  # fewer words have blocks of one piece
    case = make_problem(np.random.default_rng(SEED), outputs, **{**MODES[mode], **blocks})
    return case, run_reference(case)


@pytest.mark.parametrize("deterministic", [False, True], ids=["hogwild", "deterministic"])
@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize("mode", MODES)
def test_reference(isa: str, mode: str, outputs: str, deterministic: bool) -> None:
    case, want = expected(mode, outputs, deterministic)
    checks.runs_close(run_kernel(case), want, "word2vec")


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize("mode", MODES)
def test_threads(rng: np.random.Generator, mode: str, outputs: str) -> None:
    case = make_problem(rng, outputs, deterministic=True, sentences=100, words=1024, **MODES[mode])
    one = run_kernel(case, 1)
    for threads in (2, 7):
        checks.runs_same_bits(run_kernel(case, threads), one)


@pytest.mark.parametrize("mode", MODES)
def test_instruction_sets(rng: np.random.Generator, mode: str) -> None:
    case = make_problem(rng, "both", **MODES[mode])
    fused = tuple(name for name in _core.available_isas() if name != "sse4")  # has no fma
    checks.isas_agree(lambda: run_kernel(case), fused)


def test_loss_changes_nothing(rng: np.random.Generator) -> None:
    case = make_problem(rng, "both")
    with_loss, without = run_kernel(case), run_kernel(case, loss=False)
    assert without["loss"] == 0 < with_loss["loss"]
    checks.runs_same_bits({**with_loss, "loss": without["loss"]}, without)


def test_parts_of_an_epoch(rng: np.random.Generator) -> None:
    """Turns of the kernel join without a seam."""
    case = make_problem(rng, "both", sentences=100)
    whole = run_kernel(case)
    assert len(case.ids) > 3 * _core.SLICE
    cut = run_kernel(case, cuts=[_core.SLICE, 3 * _core.SLICE])
    checks.runs_same_bits({**cut, "loss": whole["loss"]}, whole)
    checks.close(cut["loss"], whole["loss"], "loss", "loss")


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("mode", MODES)
def test_copies(rng: np.random.Generator, mode: str) -> None:
    """Threads work on copies of hot rows and tags: nothing but that differs where one has all the work."""
    case = make_problem(rng, "both", sentences=20, **MODES[mode])
    assert len(case.ids) <= _core.SLICE
    checks.runs_close(run_kernel(case, 2), run_reference(case), "word2vec")
