"""GRU with the reset before the product: ``n = tanh(W x + b + R (r*h) + b')``, ``h' = (1-z)*n + z*h``.

Source: Cho et al. 2014 (arXiv:1406.1078), with z in PyTorch's role; the paper's z is 1 - z here. Gates r z n.
"""

from __future__ import annotations

from typing import Any

from .._types import Array, Pair
from ..math import sigmoid, tanh

NAME = "gru_reset_before"
GATES = ("r", "z", "n")
RECURRENT = (("r", "z", "n"),)
UNITS = ()
NORMS = ()
INNER = ()
STATES = ("h",)


def forward(x: tuple[Array, ...], R: Any, p: Any, states: tuple[Array, ...]) -> Pair:
    """(W x + b by gate, old states) to (kept, new states)."""
    (h,) = states
    by_h = R(h, slice(0, 2))
    r, z = sigmoid(x[0] + by_h[0]), sigmoid(x[1] + by_h[1])
    n = tanh(x[2] + R(r * h, slice(2, 3))[0])
    return (r, z, n), ((1 - z) * n + z * h,)


def backward(
    kept: tuple[Array, ...],
    R: Any,
    p: Any,
    old: tuple[Array, ...],
    new: tuple[Array, ...],
    dnew: tuple[Array, ...],
) -> Pair:
    """(kept, old and new states, gradients of the new) to gradients of (W x + b by gate, old states)."""
    r, z, n = kept
    (h,), (dh,) = old, dnew
    dn = dh * (1 - z) * (1 - n * n)
    dz = dh * (h - n) * z * (1 - z)
    dq = R.back((dn,), r * h, slice(2, 3))
    dr = dq * h * r * (1 - r)
    return (dr, dz, dn), (R.back((dr, dz), h, slice(0, 2)) + dh * z + dq * r,)
