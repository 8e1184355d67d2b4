"""The states that a module of a Clockwork network holds between its updates: kernel against twin."""

from __future__ import annotations

from types import ModuleType

import checks
import numpy as np
import pytest
from mutants import mutant

from fastrnn import _core, reference
from fastrnn.reference import hold


def hold_is_the_twin(a: np.ndarray, start: int, period: int, module: ModuleType = hold) -> None:
    """Both ways, bit for bit."""
    for backward, twin in enumerate((module.forward, module.backward)):
        got, want = a.copy(), a.copy()
        _core.hold(got, start, period, bool(backward))
        twin(want, start, period)
        checks.same_bits(got, want)


@pytest.mark.usefixtures("threads")
def test_hold(isa: str, rng: np.random.Generator, dtype: np.dtype) -> None:
    for shape in ((1, 1, 1), (2, 3, 5), (11, 4, 16), (12, 9, 33)):
        a = rng.standard_normal(shape).astype(dtype)
        for start in (1, 2, 5, 20):
            for period in (1, 2, 3, 20):
                for count in (1, 2, 7):
                    _core.set_num_threads(count)
                    hold_is_the_twin(a, start, period)
    for wrong in (
        ("d[t - 1] += d[t]", "d[t - 1] = d[t]"),
        ("(t - start) % period", "(t - start + 1) % period"),
    ):
        with pytest.raises(AssertionError):
            hold_is_the_twin(a, 1, 3, mutant(hold, *wrong))


def test_errors_of_hold() -> None:
    with pytest.raises(ValueError, match=r"period: expected start >= 1 and period >= 1, got \(0, 2\)"):
        _core.hold(np.zeros((2, 2, 2)), 0, 2, False)
    with pytest.raises(ValueError, match=r"a: expected shape \(T, B, H\), got \(2, 2\)"):
        _core.hold(np.zeros((2, 2)), 1, 2, False)


def test_reference_has_it() -> None:
    assert reference.hold is hold
