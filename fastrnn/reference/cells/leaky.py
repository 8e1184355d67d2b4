"""Leaky integration: ``u = W x + b``, ``h' = a*h + (1-a)*u`` with ``a = sigmoid(p)``, each unit its own p.

Source: the context units of Mikolov et al. 2015 (arXiv:1412.7753). No recurrent matrix.
"""

from __future__ import annotations

from typing import Any

from .._types import Array, Pair
from ..math import sigmoid

NAME = "leaky"
GATES = ("u",)
RECURRENT = ()
UNITS = ("p",)
NORMS = ()
INNER = ()
STATES = ("h",)


def forward(x: tuple[Array, ...], R: Any, p: Any, states: tuple[Array, ...]) -> Pair:
    """(W x + b by gate, old states) to (kept, new states)."""
    (h,), (u,) = states, x
    a = sigmoid(p[0])
    return (u,), (a * h + (1 - a) * u,)


def backward(
    kept: tuple[Array, ...],
    R: Any,
    p: Any,
    old: tuple[Array, ...],
    new: tuple[Array, ...],
    dnew: tuple[Array, ...],
) -> Pair:
    """(kept, old and new states, gradients of the new) to gradients of (W x + b by gate, old states)."""
    (u,), (h,), (dh,) = kept, old, dnew
    a = sigmoid(p[0])
    p.back(0, dh * (h - u) * a * (1 - a))
    return (dh * (1 - a),), (dh * a,)
