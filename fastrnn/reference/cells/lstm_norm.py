"""LSTM with layer normalisation of W x, of R h, and of c' before its tanh: ``h' = o*tanh(LN(c'))``.

Source: Ba, Kiros and Hinton 2016 (arXiv:1607.06450), eqs. 20-22 of the supplement. Gates i f g o. Mean and
deviation of W x and R h are those of all gates, as in the paper, or of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._types import Array, Pair
from ..math import sigmoid, tanh
from ..norm import Groups, normalise, normalise_backward


@dataclass(frozen=True)
class LstmNorm:
    """The cell; the normalised products come from `R` and as `x`, gain and bias of c' are p[0] and p[1]."""

    NAME: str
    NORMS: Groups
    GATES = ("i", "f", "g", "o")
    RECURRENT = (("i", "f", "g", "o"),)
    UNITS = ()
    INNER = ("c",)
    STATES = ("h", "c")

    def forward(self, x: tuple[Array, ...], R: Any, p: Any, states: tuple[Array, ...]) -> Pair:
        """(LN(W x) + b by gate, old states) to (kept, new states)."""
        h, c = states
        a = [u + v for u, v in zip(x, R(h), strict=True)]
        i, f, g, o = sigmoid(a[0]), sigmoid(a[1]), tanh(a[2]), sigmoid(a[3])
        c_new = f * c + i * g
        normal, inverse = normalise(c_new)
        return (i, f, g, o, normal, inverse), (o * tanh(p[0] * normal + p[1]), c_new)

    def backward(
        self,
        kept: tuple[Array, ...],
        R: Any,
        p: Any,
        old: tuple[Array, ...],
        new: tuple[Array, ...],
        dnew: tuple[Array, ...],
    ) -> Pair:
        """(kept, old and new states, gradients of the new) to those of (LN(W x) + b by gate, old states)."""
        i, f, g, o, normal, inverse = kept
        h, c = old
        t = tanh(p[0] * normal + p[1])
        dh, dc_new = dnew
        dm = dh * o * (1 - t * t)
        p.back(0, dm * normal)
        p.back(1, dm)
        dc = dc_new + normalise_backward(dm * p[0], normal, inverse)
        da = (dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o))
        return da, (R.back(da, h), dc * f)


CELLS = (
    LstmNorm("lstm_norm", ((0, 1, 2, 3),)),
    LstmNorm("lstm_norm_by_gate", ((0,), (1,), (2,), (3,))),
)
