"""Functions between dense layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _check, _core
from .base import Layer, Once

if TYPE_CHECKING:
    from .._typing import Array, Maybe

KINDS = ("relu", "tanh", "sigmoid", "identity")


class Activation(Layer):
    """y = f(x) for each element.

    Parameters
    ----------
    kind : {"relu", "tanh", "sigmoid", "identity"}
    """

    def __init__(self, kind: str = "relu") -> None:
        self.kind = _check.choice("kind", kind, KINDS)
        self._declare({}, None)

    def __call__(self, x: Array) -> Array:
        """Give f(x), for x of any shape."""
        _check.floats("x", x)
        if self.kind == "relu":
            return np.maximum(x, 0)
        if self.kind == "identity":
            return x
        return (_core.tanh if self.kind == "tanh" else _core.sigmoid)(np.ascontiguousarray(x))

    def vjp(self, x: Array, key: int | None = None, step: int = 0) -> tuple[Array, ActivationPullback]:
        """As a plain call, and a pullback. `key` and `step` are not used; all layers take them."""
        y = self(x)
        return y, ActivationPullback(self, y)

    def _describe(self) -> str:
        return repr(self.kind)


class ActivationPullback(Once):
    """Gradient of one ``vjp`` call of an Activation. One-shot."""

    __slots__ = ()

    def __call__(self, dy: Array, grads: object = None, *, want_dx: bool = True) -> Maybe:
        """Give dy f'(x), which the output tells."""
        (y,) = self._peek()
        _check.array("dy", dy, y.shape, y.dtype)
        self._take()
        kind = self._layer.kind
        if not want_dx or kind == "identity":
            return dy if want_dx else None
        if kind == "relu":
            return np.where(y > 0, dy, dy.dtype.type(0))
        slope: Array
        if kind == "tanh":
            slope = y * y
            np.subtract(1, slope, out=slope)
        else:
            slope = 1 - y
            slope *= y
        slope *= dy
        return slope
