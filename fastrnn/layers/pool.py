"""One vector for a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _check, _core
from .base import Layer, Once

if TYPE_CHECKING:
    from .._typing import Array

KINDS = ("last", "mean", "max")


class Pool(Layer):
    """y [B, H] from x [T, B, H]: of each row the last step, the mean, or the largest of each column.

    Parameters
    ----------
    kind : {"last", "mean", "max"}
    bidirectional : bool
        For "last": the second half of the columns runs backwards in time, as in the output of a bidirectional
        layer, so that its last step is the first one of x.
    batch_first : bool, optional
        Whether x is [B, T, H]; without it, as the recurrent layers of the Sequential it is in, else False.

    Notes
    -----
    With `lengths` only the steps of each row count; a row without steps gives zeros. The gradient by the
    largest element goes to the first step that has it, as in PyTorch; a NaN is the largest.
    """

    _ragged = True

    def __init__(
        self, kind: str = "last", *, bidirectional: bool = False, batch_first: bool | None = None
    ) -> None:
        self.kind = _check.choice("kind", kind, KINDS)
        self.bidirectional = _check.flag("bidirectional", bidirectional)
        self.batch_first = None if batch_first is None else _check.flag("batch_first", batch_first)
        self._declare({}, None)

    def __call__(self, x: Array, lengths: Any = None) -> Array:
        """Pool x, [T, B, H]; `lengths`, [B] ints in [0, T], say which steps of a row count.

        Raises
        ------
        ValueError, TypeError
            A shape, a dtype or a length is wrong.
        """
        return _core.pool(x, *self._options(x, lengths))

    def vjp(
        self, x: Array, lengths: Any = None, key: int | None = None, step: int = 0
    ) -> tuple[Array, PoolPullback]:
        """As a plain call, and a pullback. `key` and `step` are not used; all layers take them."""
        options = self._options(x, lengths)
        y = _core.pool(x, *options)
        return y, PoolPullback(self, x, y, options)

    def _options(self, x: Any, lengths: Any) -> tuple[Any, str, int, bool]:
        batch_first = bool(self.batch_first)
        shape = _check.rank("x", x, 3, "B, T, H" if batch_first else "T, B, H")
        if lengths is not None:
            rows, steps = shape[:2] if batch_first else shape[1::-1]
            lengths = _check.lengths(lengths, rows, steps)
        turned = shape[2] // 2 if self.bidirectional and self.kind == "last" else 0
        return lengths, self.kind, turned, batch_first

    def _describe(self) -> str:
        return f"{self.kind!r}{', bidirectional=True' if self.bidirectional else ''}"


class PoolPullback(Once):
    """Gradient of one ``vjp`` call of a Pool. One-shot."""

    __slots__ = ()

    def __call__(self, dy: Array, grads: Any = None, *, want_dx: bool = True) -> Array | None:
        """Give dx, like x, for dy, [B, H]; there are no parameters for `grads`."""
        x, y, options = self._peek()
        _check.array("dy", dy, y.shape, y.dtype)
        self._take()
        return _core.pool_backward(dy, x, y, *options) if want_dx else None
