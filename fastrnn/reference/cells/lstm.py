"""LSTM. Gates i f g o (torch order), states h c.  ``c' = f*c + i*g``, ``h' = o*tanh(c')``.

Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000; formulas as ``torch.nn.LSTM``.
"""

from __future__ import annotations

import numpy as np

from .._types import Array
from ..math import sigmoid, tanh

NAME = "lstm"
GATES = ("i", "f", "g", "o")
STATES = ("h", "c")


def forward(pre: tuple[Array, ...], states: tuple[Array, ...]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """(pre-activations, old states) to (gates, new states)."""
    _, c = states
    i, f, g, o = sigmoid(pre[0]), sigmoid(pre[1]), tanh(pre[2]), sigmoid(pre[3])
    c_new = f * c + i * g
    return (i, f, g, o), (o * tanh(c_new), c_new)


def backward(
    gates: tuple[Array, ...], old: tuple[Array, ...], new: tuple[Array, ...], dnew: tuple[Array, ...]
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """(gates, old and new states, gradients of the new) to gradients of (pre-activations, old states)."""
    i, f, g, o = gates
    _, c = old
    _, c_new = new
    dh, dc_new = dnew
    t = tanh(c_new)
    dc = dc_new + dh * o * (1 - t * t)
    di = dc * g * i * (1 - i)
    df = dc * c * f * (1 - f)
    dg = dc * i * (1 - g * g)
    do = dh * t * o * (1 - o)
    return (di, df, dg, do), (np.zeros_like(dh), dc * f)
