"""Dropout with masks that are computed, not drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _check, _core
from .base import Layer, Once

if TYPE_CHECKING:
    from .._typing import Array, Maybe


class Dropout(Layer):
    """In training, sets a share p of the elements to zero and divides the rest by 1 - p.

    Parameters
    ----------
    p : float
        0 <= p < 1.
    batch_first : bool, optional
        Whether x is [B, T, H]; without it, as the recurrent layers of the Sequential it is in, else False.
        It decides only which element of the mask goes where.

    Notes
    -----
    The mask is a function of (key, absolute step, row, unit) by Philox4x32-10, so backward forms it again
    and keeps nothing.

    References
    ----------
    Srivastava et al.: Dropout, a simple way to prevent neural networks from overfitting. JMLR 15, 2014.
    """

    def __init__(self, p: float = 0.5, *, batch_first: bool | None = None) -> None:
        self.p = _check.real("p", p, 0.0, 1.0)
        self.batch_first = None if batch_first is None else _check.flag("batch_first", batch_first)
        self._draws = self.p > 0
        self._declare({}, None)

    def __call__(self, x: Array) -> Array:
        """Give x itself: inference has no dropout."""
        return _check.floats("x", x)

    def vjp(self, x: Array, key: int | None = None, step: int = 0) -> tuple[Array, DropoutPullback]:
        """Mask x, [N, H] or [T, B, H].

        Parameters
        ----------
        x : ndarray
        key : int
            Chooses the mask; needed when p > 0.
        step : int
            The absolute step of x[0].

        Returns
        -------
        y : ndarray like x
        pullback : callable
            ``dx = pullback(dy)``

        Raises
        ------
        ValueError
            The key is missing.
        """
        _check.floats("x", x)
        if not self.p:
            return x, DropoutPullback(self, 0, 0, x.shape, x.dtype)
        key = _check.key(key, self.p) & 0xFFFFFFFFFFFFFFFF
        y = _core.dropout(x, self.p, key, step, bool(self.batch_first))
        return y, DropoutPullback(self, key, step, y.shape, y.dtype)

    def _describe(self) -> str:
        return f"{self.p:g}"


class DropoutPullback(Once):
    """Gradient of one ``vjp`` call of a Dropout layer. One-shot."""

    __slots__ = ()

    def __call__(self, dy: Array, grads: Any = None, *, want_dx: bool = True) -> Maybe:
        """Mask dy as forward masked x."""
        layer = self._layer
        key, step, shape, dtype = self._peek()
        _check.readable("dy", dy, shape, dtype)
        self._take()
        if not want_dx:
            return None
        return _core.dropout(dy, layer.p, key, step, bool(layer.batch_first)) if layer.p else dy
