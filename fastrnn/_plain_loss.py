"""What losses without parameters share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _check
from .layers.base import Layer, Once

if TYPE_CHECKING:
    from ._typing import Array, Maybe

REDUCTIONS = ("mean", "sum")


def rows(targets: Array, ignored: int, mask: Array | None) -> int:
    """How many rows count."""
    kept = targets != ignored
    return int(np.count_nonzero(kept if mask is None else kept & mask))


class Plain(Layer):
    """A loss without parameters; a subclass has ``_loss``, that gives (sum, count, gradient or None)."""

    def __init__(self, reduction: str) -> None:
        self.reduction = _check.choice("reduction", reduction, REDUCTIONS)
        self._declare({}, None)

    def _loss(
        self, y: Array, targets: Array, mask: Array | None, scale: float | None
    ) -> tuple[float, int, Array | None]:
        raise NotImplementedError

    def __call__(self, y: Array, targets: Array, *, mask: Array | None = None) -> float:
        """Give the loss."""
        total, count, _ = self._loss(y, targets, mask, None)
        return self._reduce(total, count)

    def total(self, y: Array, targets: Array, *, mask: Array | None = None) -> tuple[float, int]:
        """Give the sum, whatever the reduction, and the number of terms: for a mean over many batches."""
        return self._loss(y, targets, mask, None)[:2]

    def vjp(self, y: Array, targets: Array, *, mask: Array | None = None) -> tuple[float, _PlainPullback]:
        """Give the loss and ``dy = pullback(scale=1.0)``."""
        return self(y, targets, mask=mask), _PlainPullback(self, y, targets, mask)

    def value_and_grad(
        self,
        y: Array,
        targets: Array,
        grads: Any = None,
        scale: float = 1.0,
        *,
        mask: Array | None = None,
        want_dx: bool = True,
    ) -> tuple[float, Maybe]:
        """Give the loss, and the gradient of scale * loss by y; there are no parameters for `grads`."""
        total, count, dy = self._loss(y, targets, mask, _check.real("scale", scale, -np.inf))
        return self._reduce(total, count), dy if want_dx else None

    def _terms(self, targets: Array, mask: Array | None) -> int:
        """The number of terms that `total` would give."""
        raise NotImplementedError

    def _reduce(self, total: float, count: int) -> float:
        if self.reduction == "sum":
            return total
        return total / count if count else float("nan")

    def _factor(self, scale: float, count: int) -> float:
        return scale / max(count, 1) if self.reduction == "mean" else scale


class _PlainPullback(Once):
    """Gradient of one ``vjp`` call of a loss without parameters. One-shot."""

    __slots__ = ()

    def __call__(self, scale: float = 1.0, grads: Any = None) -> Maybe:
        """Give the gradient of scale * loss by y."""
        y, targets, mask = self._take()
        dy: Array | None = self._layer.value_and_grad(y, targets, grads, scale, mask=mask)[1]
        return dy
