"""States that are written at some steps and held in between. Mirror of ``csrc/kernels/hold.h``; in place.

Row 0 is given, rows start, start + period, ... are written, and any other row is the row before it.
"""

from __future__ import annotations

from ._types import Array


def _held(a: Array, start: int, period: int) -> list[int]:
    return [t for t in range(1, len(a)) if t < start or (t - start) % period]


def forward(a: Array, start: int, period: int) -> None:
    """Hold what lies in a [T, B, H]."""
    for t in _held(a, start, period):
        a[t] = a[t - 1]


def backward(d: Array, start: int, period: int) -> None:
    """Add the gradients by held rows to those of the rows that they are copies of, from the last one on."""
    for t in reversed(_held(d, start, period)):
        d[t - 1] += d[t]
