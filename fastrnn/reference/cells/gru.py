"""GRU with the reset after the product: ``n = tanh(W x + b + r*(R h + b'))``, ``h' = (1-z)*n + z*h``.

Source: ``torch.nn.GRU``, cuDNN. Gates r z n.
"""

from __future__ import annotations

from typing import Any

from .._types import Array, Pair
from ..math import sigmoid, tanh

NAME = "gru"
GATES = ("r", "z", "n")
RECURRENT = (("r", "z", "n"),)
UNITS = ()
NORMS = ()
INNER = ()
STATES = ("h",)


def forward(x: tuple[Array, ...], R: Any, p: Any, states: tuple[Array, ...]) -> Pair:
    """(W x + b by gate, old states) to (kept, new states)."""
    (h,) = states
    by_h = R(h)
    r, z = sigmoid(x[0] + by_h[0]), sigmoid(x[1] + by_h[1])
    n = tanh(x[2] + r * by_h[2])
    return (r, z, n, by_h[2]), ((1 - z) * n + z * h,)


def backward(
    kept: tuple[Array, ...],
    R: Any,
    p: Any,
    old: tuple[Array, ...],
    new: tuple[Array, ...],
    dnew: tuple[Array, ...],
) -> Pair:
    """(kept, old and new states, gradients of the new) to gradients of (W x + b by gate, old states)."""
    r, z, n, n_h = kept
    (h,), (dh,) = old, dnew
    dn = dh * (1 - z) * (1 - n * n)
    dz = dh * (h - n) * z * (1 - z)
    dr = dn * n_h * r * (1 - r)
    return (dr, dz, dn), (R.back((dr, dz, dn * r), h) + dh * z,)
