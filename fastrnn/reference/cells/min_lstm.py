"""minLSTM: ``f, i = sigmoid(W x + b)``, ``n = W x + b``, ``h' = (f*h + i*n) / (f + i)``.

Source: Feng et al. 2024 (arXiv:2410.01201), with normalised gates. Gates f i n; no recurrent matrix.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._types import Array, Pair
from ..math import sigmoid

NAME = "min_lstm"
GATES = ("f", "i", "n")
RECURRENT = ()
UNITS = ()
NORMS = ()
INNER = ()
STATES = ("h",)


def forward(x: tuple[Array, ...], R: Any, p: Any, states: tuple[Array, ...]) -> Pair:
    """(W x + b by gate, old states) to (kept, new states)."""
    (h,), (u, v, n) = states, x
    keep = _kept(u, v)
    return (u, v, n), (keep * h + (1 - keep) * n,)


def _kept(u: Array, v: Array) -> Array:
    """f / (f + i) for f = sigmoid(u), i = sigmoid(v), where both may be too small for a float."""
    m = np.minimum(0, np.minimum(u.real, v.real))  # of complex numbers the real part: it cancels
    by_v, by_u = (np.exp(m) + np.exp(m - w) for w in (v, u))
    return np.asarray(by_v / (by_v + by_u))


def backward(
    kept: tuple[Array, ...],
    R: Any,
    p: Any,
    old: tuple[Array, ...],
    new: tuple[Array, ...],
    dnew: tuple[Array, ...],
) -> Pair:
    """(kept, old and new states, gradients of the new) to gradients of (W x + b by gate, old states)."""
    u, v, n = kept
    (h,), (dh,) = old, dnew
    keep = _kept(u, v)
    d = dh * (h - n) * keep * (1 - keep)
    return (d * sigmoid(-u), -d * sigmoid(-v), dh * (1 - keep)), (dh * keep,)
