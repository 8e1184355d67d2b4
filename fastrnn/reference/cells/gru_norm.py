"""GRU with layer normalisation of W x and of R h: ``n = tanh(LN(W x) + b + r*(LN(R h) + b'))``.

Source: Ba, Kiros and Hinton 2016 (arXiv:1607.06450), eqs. 27-30 of the supplement, with z in PyTorch's role;
the paper's z is 1 - z here. Gates r z n. Mean and deviation are those of r and z together and of n apart, as
in the paper, or of each gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._types import Array, Pair
from ..norm import Groups
from . import gru


@dataclass(frozen=True)
class GruNorm:
    """`gru`, whose products are normalised: they come so from `R` and as `x`."""

    NAME: str
    NORMS: Groups
    GATES = gru.GATES
    RECURRENT = gru.RECURRENT
    UNITS = ()
    INNER = ()
    STATES = gru.STATES

    def forward(self, x: tuple[Array, ...], R: Any, p: Any, states: tuple[Array, ...]) -> Pair:
        """(LN(W x) + b by gate, old states) to (kept, new states)."""
        return gru.forward(x, R, p, states)

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
        return gru.backward(kept, R, p, old, new, dnew)


CELLS = (GruNorm("gru_norm", ((0, 1), (2,))), GruNorm("gru_norm_by_gate", ((0,), (1,), (2,))))
