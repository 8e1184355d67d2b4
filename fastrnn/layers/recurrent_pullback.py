"""Gradients of recurrent layers: the pullback of a ``vjp`` call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _check
from .base import Once

if TYPE_CHECKING:
    from .._typing import Array, Maybe, State


class RecurrentPullback(Once):
    """Gradients of one ``vjp`` call of a recurrent layer. One-shot."""

    __slots__ = ()

    def __call__(
        self, dy: Array | None, dstate: State | None = None, grads: Any = None, *, want_dx: bool = True
    ) -> tuple[Maybe, State]:
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
        # Where several elements are one number it cannot be.
        sizes = zip(getattr(dy, "strides", ()), getattr(dy, "shape", ()), strict=True)
        own = all(step or size < 2 for step, size in sizes)
        self._run(dy, None, grads, None, False, own)

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
        (stack,) = self._peek()
        y = stack.y
        last = None if dstate is None else layer._split("d", dstate, y, None)
        if dy is not None:
            # Rows of unlike lengths are gathered, wherever their columns lie.
            (_check.readable if stack.ragged is None else _check.array)("dy", dy, y.shape, y.dtype)
        self._take()
        dx, firsts = stack.backward(dy, last, grads, dtable, want_dx, own)
        return dx, layer._join(firsts)
