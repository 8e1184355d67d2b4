"""Bad arguments of SCRN, ClockworkRNN and scans: the exact message."""

from __future__ import annotations

import numpy as np
import pytest
from errors import STATE, Case, H, I, X, cast, check
from test_cell_errors import loaded

from fastrnn import SCRN, ClockworkRNN, MinGRU

CLOCKWORK = ClockworkRNN(I, H, periods=(2, 3))

CASES: dict[str, Case] = {
    "context_size": (lambda: SCRN(I, H, 0), ValueError, "context_size: expected an int >= 1, got 0"),
    "context_size float": (lambda: SCRN(I, H, 2.0), TypeError, "context_size: expected an int, got 2.0"),
    "alpha": (lambda: SCRN(I, H, 2, alpha=1), ValueError, "alpha: expected 0 <= alpha < 1, got 1"),
    "alpha negative": (
        lambda: SCRN(I, H, 2, alpha=-0.1),
        ValueError,
        "alpha: expected 0 <= alpha < 1, got -0.1",
    ),
    "alpha to learn": (
        lambda: SCRN(I, H, 2, alpha=0, learn_alpha=True),
        ValueError,
        "alpha: expected 0 < alpha < 1 because learn_alpha is True, got 0",
    ),
    "learn_alpha": (
        lambda: SCRN(I, H, 2, learn_alpha=1),
        TypeError,
        "learn_alpha: expected True or False, got 1",
    ),
    "width of s": (
        lambda: SCRN(I, H, 2)(X, (STATE, STATE)),
        ValueError,
        "s: expected shape (L, B, C) = (1, 3, 2), got (1, 3, 6)",
    ),
    "x of SCRN": (lambda: SCRN(I, H, 2)(X.astype("f8")), TypeError, cast("x")),
    "width of x of SCRN": (
        lambda: SCRN(I + 1, H, 2)(X),
        ValueError,
        "x: expected shape (T, B, I) with axis 2 = 6, got (4, 3, 5)",
    ),
    "SCRN loads": (
        lambda: loaded(SCRN(I, H, 2), weight_ih_l0=np.zeros((H, I), "f4")),
        ValueError,
        "weight_ih_l0: expected shape (H, I+C) = (6, 7), got (6, 5)",
    ),
    "SCRN loads the second level": (
        lambda: loaded(SCRN(I, H, 2, 2, bidirectional=True), weight_ic_l1=np.zeros((2, I), "f4")),
        ValueError,
        "weight_ic_l1: expected shape (C, D*(H+C)) = (2, 16), got (2, 5)",
    ),
    "period of zero": (
        lambda: ClockworkRNN(I, H, periods=(0, 1)),
        ValueError,
        "periods: expected an int >= 1, got 0",
    ),
    "period negative": (
        lambda: ClockworkRNN(I, H, periods=(-2, 1)),
        ValueError,
        "periods: expected an int >= 1, got -2",
    ),
    "period float": (
        lambda: ClockworkRNN(I, H, periods=(1, 2.5)),
        TypeError,
        "periods: expected an int, got 2.5",
    ),
    "periods decreasing": (
        lambda: ClockworkRNN(I, H, periods=(2, 1)),
        ValueError,
        "periods: expected increasing ints, got (2, 1)",
    ),
    "periods equal": (
        lambda: ClockworkRNN(I, H, periods=(1, 2, 2)),
        ValueError,
        "periods: expected increasing ints, got (1, 2, 2)",
    ),
    "periods none": (
        lambda: ClockworkRNN(I, H, periods=()),
        ValueError,
        "periods: expected at least one int, got none",
    ),
    "periods int": (
        lambda: ClockworkRNN(I, H, periods=8),
        TypeError,
        "periods: expected a tuple of ints, got 8",
    ),
    "periods without a short cycle": (
        lambda: ClockworkRNN(I, H, periods=(8191, 8192)),
        ValueError,
        "periods: expected a least common multiple of at most 8388608, got 67100672",
    ),
    "units for modules": (
        lambda: ClockworkRNN(I, H),
        ValueError,
        "hidden_size: expected a multiple of the 4 modules, got 6",
    ),
    "as many modules": (
        lambda: ClockworkRNN(I, H, module_sizes=(2, 4)),
        ValueError,
        "module_sizes: expected 4, as many as there are periods, got 2",
    ),
    "sizes": (
        lambda: ClockworkRNN(I, H, periods=(1, 2), module_sizes=(2, 5)),
        ValueError,
        "module_sizes: expected a sum of hidden_size = 6, got 7",
    ),
    "size of zero": (
        lambda: ClockworkRNN(I, H, periods=(1, 2), module_sizes=(6, 0)),
        ValueError,
        "module_sizes: expected an int >= 1, got 0",
    ),
    "seeing a faster module": (
        lambda: loaded(CLOCKWORK, weight_hh_l0=np.ones((H, H), "f4")),
        ValueError,
        "weight_hh_l0: expected 0 where a module would see a faster one, got others",
    ),
    **{
        f"phase {value}": (
            lambda value=value: CLOCKWORK(X, (STATE, np.full((1, 3, 1), value, "f4"))),
            ValueError,
            f"phase: expected one whole number in [0, 6) for all rows, got {value:g}",
        )
        for value in (0.5, -1, 6, np.nan)
    },
    "phases": (
        lambda: CLOCKWORK(X, (STATE, np.array([[[1], [2], [1]]], "f4"))),
        ValueError,
        "phase: expected one whole number in [0, 6) for all rows, got 2",
    ),
    "phase of a step": (
        lambda: CLOCKWORK.prepare().step(X[0], (STATE, np.full((1, 3, 1), 9, "f4"))),
        ValueError,
        "phase: expected one whole number in [0, 6) for all rows, got 9",
    ),
    "shape of the phase": (
        lambda: CLOCKWORK(X, (STATE, STATE)),
        ValueError,
        "phase: expected shape (L, B, 1) = (1, 3, 1), got (1, 3, 6)",
    ),
    "x of Clockwork": (lambda: CLOCKWORK(X.astype("f8")), TypeError, cast("x")),
    "width of x of Clockwork": (
        lambda: ClockworkRNN(I + 1, H, periods=(2, 3))(X),
        ValueError,
        "x: expected shape (T, B, I) = (4, 3, 6), got (4, 3, 5)",
    ),
    "step of Clockwork": (
        lambda: CLOCKWORK.prepare().step(np.zeros((3, 1), "f4")),
        ValueError,
        "x: expected shape (B, I) = (3, 5), got (3, 1)",
    ),
    "dropout of SCRN": (
        lambda: SCRN(I, H, 2, recurrent_dropout=0.5),
        ValueError,
        "recurrent_dropout: expected 0 for SCRN, got 0.5",
    ),
    "zoneout of Clockwork": (
        lambda: ClockworkRNN(I, H, periods=(2, 3), zoneout=(0.5, 0)),
        ValueError,
        "zoneout: expected 0 for ClockworkRNN, got (0.5, 0.0)",
    ),
    "projection of SCRN": (
        lambda: SCRN(I, H, 2, proj_size=3),
        ValueError,
        "proj_size: expected 0 for SCRN, got 3",
    ),
    "zoneout of a scan": (
        lambda: MinGRU(I, H, scan=True, zoneout=0.5),
        ValueError,
        "zoneout: expected 0 because scan is True, got (0.5,)",
    ),
    "scan": (lambda: MinGRU(I, H, scan=None), TypeError, "scan: expected True or False, got None"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_composites(case: Case) -> None:
    check(case)


def test_what_a_cell_prints() -> None:
    assert repr(SCRN(I, H, 2)) == "SCRN(5, 6, context_size=2)"
    assert (
        repr(SCRN(I, H, 2, 3, alpha=0.5, learn_alpha=True))
        == "SCRN(5, 6, num_layers=3, context_size=2, alpha=0.5, learn_alpha=True)"
    )
    assert repr(CLOCKWORK) == "ClockworkRNN(5, 6, periods=(2, 3))"
    assert repr(MinGRU(I, H, scan=True)) == "MinGRU(5, 6, scan=True)"
