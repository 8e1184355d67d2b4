"""LSTM with coupled input and forget gates, ``i = 1 - f``: ``c' = f*c + (1-f)*g``, ``h' = o*tanh(c')``.

Source: CIFG in Greff et al. 2017 (arXiv:1503.04069). Gates f g o.
"""

from __future__ import annotations

from typing import Any

from .._types import Array, Pair
from ..math import sigmoid, tanh

NAME = "lstm_coupled"
GATES = ("f", "g", "o")
RECURRENT = (("f", "g", "o"),)
UNITS = ()
NORMS = ()
INNER = ()
STATES = ("h", "c")


def forward(x: tuple[Array, ...], R: Any, p: Any, states: tuple[Array, ...]) -> Pair:
    """(W x + b by gate, old states) to (kept, new states)."""
    h, c = states
    a = [u + v for u, v in zip(x, R(h), strict=True)]
    f, g, o = sigmoid(a[0]), tanh(a[1]), sigmoid(a[2])
    c_new = f * c + (1 - f) * g
    return (f, g, o), (o * tanh(c_new), c_new)


def backward(
    kept: tuple[Array, ...],
    R: Any,
    p: Any,
    old: tuple[Array, ...],
    new: tuple[Array, ...],
    dnew: tuple[Array, ...],
) -> Pair:
    """(kept, old and new states, gradients of the new) to gradients of (W x + b by gate, old states)."""
    f, g, o = kept
    h, c = old
    t = tanh(new[1])
    dh, dc_new = dnew
    dc = dc_new + dh * o * (1 - t * t)
    da = (dc * (c - g) * f * (1 - f), dc * (1 - f) * (1 - g * g), dh * t * o * (1 - o))
    return da, (R.back(da, h), dc * f)
