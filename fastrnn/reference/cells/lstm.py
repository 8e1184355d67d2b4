"""LSTM. Gates i f g o (torch order), states h c.  ``c' = f*c + i*g``, ``h' = o*tanh(c')``.

Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000; formulas as ``torch.nn.LSTM``.
"""

from __future__ import annotations

from typing import Any

from .._types import Array, Pair
from ..math import sigmoid, tanh

NAME = "lstm"
GATES = ("i", "f", "g", "o")
RECURRENT = (("i", "f", "g", "o"),)
UNITS = ()
NORMS = ()
INNER = ()
STATES = ("h", "c")


def forward(x: tuple[Array, ...], R: Any, p: Any, states: tuple[Array, ...]) -> Pair:
    """(W x + b by gate, old states) to (kept, new states)."""
    h, c = states
    a = [u + v for u, v in zip(x, R(h), strict=True)]
    i, f, g, o = sigmoid(a[0]), sigmoid(a[1]), tanh(a[2]), sigmoid(a[3])
    c_new = f * c + i * g
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
    t = tanh(new[1])
    dh, dc_new = dnew
    dc = dc_new + dh * o * (1 - t * t)
    da = (dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o))
    return da, (R.back(da, h), dc * f)
