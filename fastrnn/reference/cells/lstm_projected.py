"""LSTM whose h is a projection: ``h' = Q (o*tanh(c'))``, of P numbers, where c has H.

Source: Sak, Senior, Beaufays 2014 (arXiv:1402.1128); formulas as ``torch.nn.LSTM(proj_size=P)``, Q being its
weight_hr, here the second recurrent matrix.
"""

from __future__ import annotations

from typing import Any

from .._types import Array, Pair
from ..math import sigmoid, tanh

NAME = "lstm_projected"
GATES = ("i", "f", "g", "o")
RECURRENT = (("i", "f", "g", "o"), ("h",))
UNITS = ()
NORMS = ()
INNER = ()
STATES = ("h", "c")


def widths(weights: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Columns of the gates, and of h and c."""
    projected, hidden = weights.w_ch.shape
    return (hidden,) * 4, (projected, hidden)


def forward(x: tuple[Array, ...], R: Any, p: Any, states: tuple[Array, ...]) -> Pair:
    """(W x + b by gate, old states) to (kept, new states)."""
    h, c = states
    a = [u + v for u, v in zip(x, R(h), strict=True)]
    i, f, g, o = sigmoid(a[0]), sigmoid(a[1]), tanh(a[2]), sigmoid(a[3])
    c_new = f * c + i * g
    return (i, f, g, o), (*R(o * tanh(c_new), matrix=1), c_new)


def backward(
    kept: tuple[Array, ...],
    R: Any,
    p: Any,
    old: tuple[Array, ...],
    new: tuple[Array, ...],
    dnew: tuple[Array, ...],
) -> Pair:
    """(kept, old and new states, gradients of the new) to gradients of (W x + b by gate, old states)."""
    i, f, g, o = kept
    h, c = old
    t = tanh(new[1])
    dm = R.back((dnew[0],), o * t, matrix=1)
    dc = dnew[1] + dm * o * (1 - t * t)
    da = (dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dm * t * o * (1 - o))
    return da, (R.back(da, h), dc * f)
