"""Gradients of recurrent layers: the pullback of a ``vjp`` call, level by level from the last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _check, _core
from .._random import fold
from .base import Once

if TYPE_CHECKING:
    from .._typing import Array, State
    from .ragged import Ragged
    from .recurrent import Recurrent


class RecurrentPullback(Once):
    """Gradients of one ``vjp`` call of a recurrent layer. One-shot."""

    __slots__ = ()

    def __call__(
        self, dy: Array | None, dstate: State | None = None, grads: Any = None, *, want_dx: bool = True
    ) -> tuple[Array | None, State]:
        """Backpropagate through time, and add the parameters' gradients into ``layer.grads`` under its lock.

        Parameters
        ----------
        dy : ndarray like y, or None
            The gradient of the loss by y; None is zero.
        dstate : tuple of ndarray, each [L*D, B, H], optional
            By the final states; zero by default.
        grads : ndarray like ``layer.flat_grads``, or mapping like ``layer.grads``, optional
            Add into this instead; no lock is taken.
        want_dx : bool
            Form the gradient by x; a first layer need not.

        Returns
        -------
        dx : ndarray like x, or None if not wanted or if x holds tokens
        dstate : tuple of ndarray, each [L*D, B, H]
            By the initial states.

        Raises
        ------
        RuntimeError
            Called before, or the parameters have changed since ``vjp``.
        ValueError, TypeError
            A shape or a dtype is wrong.
        """
        return self._run(dy, dstate, grads, None, want_dx)

    def consume(self, dy: Array, grads: Any = None) -> None:
        """Add the parameters' gradients, as a call does without dx; dy is written over."""
        self._run(dy, None, grads, None, False, True)

    def _run(
        self,
        dy: Array | None,
        dstate: State | None,
        grads: Any,
        dtable: Array | None,
        want_dx: bool,
        own: bool = False,
    ) -> tuple[Array | None, State]:
        """A call; `own`: nobody else wants dy, so it may be written over."""
        layer = self._layer
        if grads is not None:
            return self._backward(dy, dstate, layer._into(grads), dtable, want_dx, own)
        with self._home.lock:
            return self._backward(dy, dstate, layer._gradients, dtable, want_dx, own)

    def _backward(
        self,
        dy: Array | None,
        dstate: State | None,
        grads: Any,
        dtable: Array | None,
        want_dx: bool,
        own: bool,
    ) -> tuple[Array | None, State]:
        layer = self._layer
        y, levels, ragged, p, key, step = self._peek()
        last = None if dstate is None else layer._split("d", dstate, y, None)
        if dy is not None:
            _check.array("dy", dy, y.shape, y.dtype)
        self._take()
        firsts: list[Any] = [None] * (len(levels) * layer.directions)
        for level in range(len(levels) - 1, -1, -1):
            if p and level != len(levels) - 1:
                dy = _core.dropout(dy, p, fold(key, level), step, layer.batch_first)  # type: ignore[arg-type]
                own = True
            call = _Level(layer, level, ragged, levels[level], want_dx or level > 0)
            dy = call.backward(dy, last, grads, dtable, firsts, own)
            own = True
        return dy, layer._join(firsts)


class _Level:
    """The backward calls of one level."""

    __slots__ = ("kept", "layer", "level", "ragged", "shape", "table", "want")

    def __init__(self, layer: Recurrent, level: int, ragged: Ragged | None, kept: Any, want: bool) -> None:
        self.layer, self.level, self.ragged, self.want = layer, level, ragged, want
        self.shape, self.table, self.kept = kept

    def backward(
        self,
        dy: Array | None,
        last: list[State] | None,
        grads: Any,
        dtable: Array | None,
        firsts: list[Any],
        own: bool,
    ) -> Array | None:
        """Give dx, put the gradients by the initial states into `firsts`; own: dy may be written over."""
        layer, ragged = self.layer, self.ragged
        want, whole, dx = self.want and self.table is None, None, None
        if ragged is not None and want:
            whole = _core.empty(self.shape, layer.flat_params)
            whole.fill(0)
        elif own and not layer.bidirectional and dy is not None and dy.shape == self.shape:
            dx = dy
        for direction, (saved, x, weights, first, y) in enumerate(self.kept):
            place = self.level * layer.directions + direction
            dlast = None if last is None else last[place]
            part, columns = dy, layer._columns(direction)
            if ragged is not None:
                part, dlast = (
                    None if dy is None else ragged.gather(dy, direction, columns),
                    ragged.sort(dlast),
                )
                dx = ragged.gather(whole, 1) if whole is not None and direction else None
            elif dy is not None and layer.bidirectional:
                part = dy[..., columns]
            dx, dfirst = _core.recurrent_backward(
                saved, x, self.table, weights, first, y, part, dlast, grads[place],
                None if self.table is None else dtable, want, dx, direction == 1,
            )  # fmt: skip
            if ragged is not None:
                dfirst = ragged.unsort(dfirst)
                if whole is not None:
                    ragged.scatter(dx, whole, direction, slice(None))  # type: ignore[arg-type]
            firsts[place] = dfirst
        return dx if ragged is None else whole
