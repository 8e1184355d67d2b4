"""minGRU: ``z = sigmoid(W x + b)``, ``n = W x + b``, ``h' = (1-z)*h + z*n``.

Source: Feng et al. 2024 (arXiv:2410.01201). Gates z n; no recurrent matrix.
"""

from __future__ import annotations

from typing import Any

from .._types import Array, Pair
from ..math import sigmoid

NAME = "min_gru"
GATES = ("z", "n")
RECURRENT = ()
UNITS = ()
NORMS = ()
INNER = ()
STATES = ("h",)


def forward(x: tuple[Array, ...], R: Any, p: Any, states: tuple[Array, ...]) -> Pair:
    """(W x + b by gate, old states) to (kept, new states)."""
    (h,) = states
    z, n = sigmoid(x[0]), x[1]
    return (z, n), ((1 - z) * h + z * n,)


def backward(
    kept: tuple[Array, ...],
    R: Any,
    p: Any,
    old: tuple[Array, ...],
    new: tuple[Array, ...],
    dnew: tuple[Array, ...],
) -> Pair:
    """(kept, old and new states, gradients of the new) to gradients of (W x + b by gate, old states)."""
    z, n = kept
    (h,), (dh,) = old, dnew
    return (dh * (n - h) * z * (1 - z), dh * z), (dh * (1 - z),)
