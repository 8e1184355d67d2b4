"""LSTM with diagonal peepholes: i and f also see ``p*c``, o sees ``p*c'``.

Source: Gers & Schmidhuber 2000; the gradient flows through the peepholes in full. Gates i f g o, p of i f o.
"""

from __future__ import annotations

from typing import Any

from .._types import Array, Pair
from ..math import sigmoid, tanh

NAME = "lstm_peephole"
GATES = ("i", "f", "g", "o")
RECURRENT = (("i", "f", "g", "o"),)
UNITS = ("i", "f", "o")
NORMS = ()
INNER = ()
STATES = ("h", "c")


def forward(x: tuple[Array, ...], R: Any, p: Any, states: tuple[Array, ...]) -> Pair:
    """(W x + b by gate, old states) to (kept, new states)."""
    h, c = states
    a = [u + v for u, v in zip(x, R(h), strict=True)]
    i, f, g = sigmoid(a[0] + p[0] * c), sigmoid(a[1] + p[1] * c), tanh(a[2])
    c_new = f * c + i * g
    o = sigmoid(a[3] + p[2] * c_new)
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
    dc = dc_new + dh * o * (1 - t * t) + do * p[2]
    di, df, dg = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g)
    p.back(0, di * c)
    p.back(1, df * c)
    p.back(2, do * c_new)
    da = (di, df, dg, do)
    return da, (R.back(da, h), dc * f + di * p[0] + df * p[1])
