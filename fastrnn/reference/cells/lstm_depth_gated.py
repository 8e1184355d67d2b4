"""LSTM with a gate for the cell state e of the level below: ``c' = f*c + i*g + d*e``, ``h' = o*tanh(c')``.

``d = sigmoid(W x + b + w_c*c + w_l*e)``. Source: Yao et al. 2015, "Depth-gated recurrent neural networks"
(arXiv:1508.03790), without its peepholes. Gates i f g o d, the last without R; e comes after them.
"""

from __future__ import annotations

from typing import Any

from .._types import Array, Pair
from ..math import sigmoid, tanh

NAME = "lstm_depth_gated"
GATES = ("i", "f", "g", "o", "d")
RECURRENT = (("i", "f", "g", "o"),)
UNITS = ("c", "l")
NORMS = ()
INNER = ()
STATES = ("h", "c")
SIDE = True  # x by gate is followed by what a second sequence has for the step, its gradient too


def forward(x: tuple[Array, ...], R: Any, p: Any, states: tuple[Array, ...]) -> Pair:
    """(W x + b by gate and e, old states) to (kept, new states)."""
    h, c = states
    e = x[-1]
    a = [u + v for u, v in zip(x[:-1], (*R(h), p[0] * c + p[1] * e), strict=True)]
    i, f, g, o, d = sigmoid(a[0]), sigmoid(a[1]), tanh(a[2]), sigmoid(a[3]), sigmoid(a[4])
    c_new = f * c + i * g + d * e
    return (i, f, g, o, d, e), (o * tanh(c_new), c_new)


def backward(
    kept: tuple[Array, ...],
    R: Any,
    p: Any,
    old: tuple[Array, ...],
    new: tuple[Array, ...],
    dnew: tuple[Array, ...],
) -> Pair:
    """(kept, old and new states, gradients of the new) to those of (W x + b by gate and e, old states)."""
    i, f, g, o, d, e = kept
    h, c = old
    t = tanh(new[1])
    dh, dc_new = dnew
    dc = dc_new + dh * o * (1 - t * t)
    da = (dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o))
    dd = dc * e * d * (1 - d)
    p.back(0, dd * c)
    p.back(1, dd * e)
    return (*da, dd, dc * d + dd * p[1]), (R.back(da, h), dc * f + dd * p[0])
