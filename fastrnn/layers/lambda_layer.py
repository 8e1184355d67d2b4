"""A function of one's own as a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _check
from .base import Layer, Once

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._typing import Array, Maybe


class Lambda(Layer):
    """y = function(x), with a gradient that the caller knows: there is no autograd.

    Parameters
    ----------
    function : callable
        ``function(x)`` gives y, an array.
    gradient : callable
        ``gradient(dy, x, y)`` gives dx, like x: dy times the derivative of `function`, transposed.

    Examples
    --------
    >>> relu = fastrnn.Lambda(lambda x: np.maximum(x, 0), lambda dy, x, y: dy * (x > 0))
    """

    def __init__(
        self, function: Callable[[Array], Array], gradient: Callable[[Array, Array, Array], Array]
    ) -> None:
        for name, value in (("function", function), ("gradient", gradient)):
            if not callable(value):
                raise TypeError(f"{name}: expected a callable, got {_check.describe(value)}")
        self.function, self.gradient = function, gradient
        self._declare({}, None)

    def __call__(self, x: Array) -> Array:
        """Give function(x)."""
        return self.function(x)

    def vjp(self, x: Array, key: int | None = None, step: int = 0) -> tuple[Array, LambdaPullback]:
        """As a plain call, and a pullback. `key` and `step` are not used; all layers take them."""
        y = self.function(x)
        return y, LambdaPullback(self, x, y)

    def _describe(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)


class LambdaPullback(Once):
    """Gradient of one ``vjp`` call of a Lambda. One-shot."""

    __slots__ = ()

    def __call__(self, dy: Array, grads: Any = None, *, want_dx: bool = True) -> Maybe:
        """Give gradient(dy, x, y).

        Raises
        ------
        ValueError, TypeError
            dy is not like y, or what `gradient` gives not like x.
        """
        x, y = self._peek()
        _check.array("dy", dy, y.shape, y.dtype)
        self._take()
        if not want_dx:
            return None
        return _check.array("gradient(dy, x, y)", self._layer.gradient(dy, x, y), x.shape, x.dtype)
