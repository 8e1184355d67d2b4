"""The simple recurrent network (Elman 1990): ``h' = F(W x + R h)`` for four F. One gate, a."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._types import Array, Pair
from ..math import sigmoid, tanh


@dataclass(frozen=True)
class Rnn:
    """The cell with one F; `slope` is F' in terms of h'."""

    NAME: str
    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    GATES = ("a",)
    RECURRENT = (("a",),)
    UNITS = ()
    NORMS = ()
    INNER = ()
    STATES = ("h",)

    def forward(self, x: tuple[Array, ...], R: Any, p: Any, states: tuple[Array, ...]) -> Pair:
        """(W x + b, old state) to (kept, new state)."""
        h = self.value(x[0] + R(states[0])[0])
        return (h,), (h,)

    def backward(
        self,
        kept: tuple[Array, ...],
        R: Any,
        p: Any,
        old: tuple[Array, ...],
        new: tuple[Array, ...],
        dnew: tuple[Array, ...],
    ) -> Pair:
        """(kept, old and new state, gradient of the new) to gradients of (W x + b, old state)."""
        da = (dnew[0] * self.slope(kept[0]),)
        return da, (R.back(da, old[0]),)


def _relu(a: Array) -> Array:
    return np.where(a.real < 0, 0 * a, a)  # of a complex number by its real part; NaN comes through


CELLS = (
    Rnn("rnn_tanh", tanh, lambda h: 1 - h * h),
    Rnn("rnn_relu", _relu, lambda h: np.where(h.real > 0, np.ones_like(h), np.zeros_like(h))),
    Rnn("rnn_sigmoid", sigmoid, lambda h: h * (1 - h)),
    Rnn("rnn_identity", lambda a: a, np.ones_like),
)
