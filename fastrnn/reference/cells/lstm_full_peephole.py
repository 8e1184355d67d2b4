"""LSTM whose gates see the whole cell state: i and f of [c, h, x], o of [c', h, x], with dense weights.

``i, f = sigmoid(W x + R h + C c)``, ``o = sigmoid(W x + R h + C c')``; g, c' and h' as the LSTM. Gates of
W and R: i f g o; of C, the second matrix: i f o.
"""

from __future__ import annotations

from typing import Any

from .._types import Array, Pair
from ..math import sigmoid, tanh

NAME = "lstm_full_peephole"
GATES = ("i", "f", "g", "o")
RECURRENT = (("i", "f", "g", "o"), ("i", "f", "o"))
UNITS = ()
NORMS = ()
INNER = ()
STATES = ("h", "c")


def forward(x: tuple[Array, ...], R: Any, p: Any, states: tuple[Array, ...]) -> Pair:
    """(W x + b by gate, old states) to (kept, new states)."""
    h, c = states
    a = [u + v for u, v in zip(x, R(h), strict=True)]
    by_c = R(c, slice(0, 2), 1)
    i, f, g = sigmoid(a[0] + by_c[0]), sigmoid(a[1] + by_c[1]), tanh(a[2])
    c_new = f * c + i * g
    o = sigmoid(a[3] + R(c_new, slice(2, 3), 1)[0])
    return (i, f, g, o), (o * tanh(c_new), c_new)


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
    c_new = new[1]
    t = tanh(c_new)
    dh, dc_new = dnew
    do = dh * t * o * (1 - o)
    dc = dc_new + dh * o * (1 - t * t) + R.back((do,), c_new, slice(2, 3), 1)
    di, df, dg = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g)
    da = (di, df, dg, do)
    return da, (R.back(da, h), dc * f + R.back((di, df), c, slice(0, 2), 1))
