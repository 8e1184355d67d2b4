"""The states that a module of a Clockwork network holds between its updates: kernel against twin."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import checks
import numpy as np
import pytest
from layouts import without_padding
from mutants import mutant

from fastrnn import _core, reference
from fastrnn.reference import hold


def hold_is_the_twin(versions: np.ndarray, of: np.ndarray, module: ModuleType = hold) -> None:
    """Both ways, bit for bit."""
    held = np.full((len(of), *versions.shape[1:]), np.nan, versions.dtype)
    _core.hold(held, versions, of, False)
    checks.same_bits(held, module.forward(versions, of))
    d = np.sin(np.arange(held.size, dtype=held.dtype)).reshape(held.shape)
    sums = np.full_like(versions, np.nan)
    _core.hold(d, sums, of, True)
    checks.same_bits(sums, module.backward(d, of, len(versions)))


@pytest.mark.usefixtures("threads")
def test_hold(isa: str, rng: np.random.Generator, dtype: np.dtype) -> None:
    for count, steps, rows, columns in (
        (1, 1, 1, 1),
        (1, 0, 2, 3),
        (3, 2, 3, 5),
        (4, 11, 4, 16),
        (9, 12, 9, 33),
    ):
        versions = rng.standard_normal((count, rows, columns)).astype(dtype)
        for _ in range(3):
            of = np.sort(rng.integers(0, count, steps))
            for threads in (1, 2, 7):
                _core.set_num_threads(threads)
                hold_is_the_twin(versions, of)
    for wrong in (
        ("+= d[t]", "= d[t]"),
        ("reversed(range(len(of)))", "range(len(of))"),
        ("versions[of]", "versions[of[::-1]]"),
    ):
        with pytest.raises(AssertionError):
            hold_is_the_twin(versions, np.sort(rng.integers(0, 3, 12)), mutant(hold, *wrong))


@pytest.mark.usefixtures("threads")
def test_rows_of_unlike_lengths_hold_what_whole_ones_do(rng: np.random.Generator) -> None:
    of = np.array([0, 0, 1, 1, 1, 3])
    lengths = np.array([6, 5, 2, 0])
    counts = np.array([4, 3, 1, 1])  # of the versions that each row has
    versions, d = (rng.standard_normal((n, 4, 21)).astype(np.float32) for n in (4, 6))
    packed = without_padding(versions, counts)
    held = np.empty((13, 21), np.float32)
    _core.hold(held, packed, of, False, (lengths, counts))
    checks.same_bits(held, without_padding(hold.forward(versions, of), lengths))
    d[np.arange(6)[:, None] >= lengths] = 0
    sums = np.empty_like(packed)
    _core.hold(without_padding(d, lengths), sums, of, True, (lengths, counts))
    checks.same_bits(sums, without_padding(hold.backward(d, of, 4), counts))


X = np.zeros((3, 2, 4), np.float32)
ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "rank": (
        lambda: _core.hold(X[0], X, np.zeros(3, int), False),
        ValueError,
        "held: expected shape (T, B, H), got (2, 4)",
    ),
    "columns": (
        lambda: _core.hold(X[..., :3].copy(), X, np.zeros(3, int), False),
        ValueError,
        "held: expected as many rows and columns as versions has, (2, 4), got (2, 3)",
    ),
    "order": (
        lambda: _core.hold(X.copy(), X, np.array([0, 2, 1]), False),
        ValueError,
        "of: expected (3,) ascending numbers, got (3,)",
    ),
    "range": (
        lambda: _core.hold(X.copy(), X, np.array([0, 1, 3]), False),
        ValueError,
        "of: expected integers in [0, 3), got 3 at index (2,)",
    ),
    "versions of a row": (
        lambda: _core.hold(
            np.zeros((6, 4), np.float32), X[:, 0].copy(), np.array([0, 0, 1]), False,
            (np.array([3, 3]), np.array([2, 1])),
        ),
        ValueError,
        "lengths: expected versions of all steps of row 1, got 1",
    ),
    "lengths of one": (
        lambda: _core.hold(X[:, 0].copy(), X, np.zeros(3, int), False, (np.array([2, 1]), None)),
        TypeError,
        "lengths: expected a NumPy array, got NoneType",
    ),
    "lengths": (
        lambda: _core.hold(X.copy(), X, np.zeros(3, int), False, 3),
        TypeError,
        "lengths: expected a pair of arrays, got int",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    call, kind, message = ERRORS[name]
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message


def test_reference_has_it() -> None:
    assert reference.hold is hold
