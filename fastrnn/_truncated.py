"""Truncated back-propagation through time: which steps are run, and which of them count, for each gradient.

Source: Williams and Peng, An efficient gradient-based algorithm for on-line training of recurrent network
trajectories, Neural Computation 2, 1990: BPTT(h; h') with h = k2, h' = k1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _check
from ._plain_loss import Plain
from .losses import LinearCrossEntropy

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._typing import Array, State
    from .layers.base import Layer

    # (x, targets, mask, state, first step, weight of the loss) to (loss, state): forward and back; the
    # targets may be of the last steps alone.
    Run = Callable[[Array, Array, "Array | None", "State | None", int, float], tuple[float, "State | None"]]
    # (x, state, first step) to the state after it.
    Forward = Callable[[Array, "State | None", int], "State | None"]


class Truncated:
    """How `value_and_grad` goes through a sequence when it has ``tbptt=``.

    Parameters
    ----------
    tbptt : (k1, k2)
        Steps between gradients, and steps that each goes back through.
    model, loss : Layer
    """

    def __init__(self, tbptt: Any, model: Layer, loss: Layer) -> None:
        if not isinstance(tbptt, (tuple, list)) or len(tbptt) != 2:
            raise TypeError(f"tbptt: expected a pair (k1, k2), got {_check.describe(tbptt)}")
        k1, k2 = (_check.integer(f"tbptt: k{i + 1}", k, 1) for i, k in enumerate(tbptt))
        if k1 > k2:
            raise ValueError(f"tbptt: expected k1 <= k2, got {(k1, k2)}")
        if not model.recurrent:
            raise ValueError(f"tbptt: expected None for a model that is not recurrent, got {(k1, k2)}")
        if any(getattr(layer, "bidirectional", False) for _, layer in model._leaves()):
            raise ValueError(f"tbptt: expected None for a bidirectional model, got {(k1, k2)}")
        if not isinstance(loss, (LinearCrossEntropy, Plain)):
            raise TypeError(f"loss: expected one of fastrnn.losses with tbptt, got {type(loss).__name__}")
        self.steps = (k1, k2)
        self._loss = loss
        self._axis = 1 if getattr(model, "batch_first", False) else 0

    def __call__(
        self, run: Run, forward: Forward, x: Any, targets: Array, mask: Array | None, state: State | None
    ) -> tuple[float, State | None]:
        """Go through all windows; the loss of the whole, and the state at its end."""
        self._check(x, targets, mask)
        k1, k2 = self.steps
        steps, mean = x.shape[self._axis], self._loss.reduction == "mean"
        blocks = range(0, max(steps, 1), k1)
        whole = sum(self._terms(targets, mask, first) for first in blocks)
        loss, at, after = (0.0 if whole or not mean else float("nan")), 0, state
        for first in blocks:
            begin, end = max(0, first + k1 - k2), min(first + k1, steps)
            if at < begin < first:  # begin = first: the state is that after the window before
                state = forward(self._part(x, at, begin), state, at)
            scored = self._part(targets, first, end)
            chosen = None if mask is None else self._part(mask, first, end)
            terms = self._terms(targets, mask, first)
            weight = terms / max(whole, 1) if mean else 1.0
            value, after = run(self._part(x, begin, end), scored, chosen, state, begin, weight)
            loss += value * weight if terms else 0.0
            at = begin
            if k1 == k2:
                state = after
        return loss, after

    def last(self, y: Array, targets: Array) -> Array:
        """The steps of y that the targets belong to: y itself if that is all of them."""
        before = y.shape[self._axis] - targets.shape[self._axis]
        return self._part(y, before, None) if before else y

    def _terms(self, targets: Array, mask: Array | None, first: int) -> int:
        """How many terms of the loss belong to the k1 steps from `first`."""
        end = first + self.steps[0]
        chosen = None if mask is None else self._part(mask, first, end)
        return self._loss._terms(self._part(targets, first, end), chosen)

    def _part(self, a: Array, begin: int, end: int | None) -> Array:
        found: Array = a[:, begin:end] if self._axis else a[begin:end]
        return found

    def _check(self, x: Any, targets: Any, mask: Any) -> None:
        letters = "B, T" if self._axis else "T, B"
        for name, value in (("x", x), ("targets", targets), ("mask", mask)):
            if value is None and name == "mask":
                continue
            shape = _check.rank(name, value, max(getattr(value, "ndim", 2), 2), f"{letters}, ...")
            if shape[:2] != x.shape[:2]:
                raise ValueError(
                    f"{name}: expected first axes ({letters}) = {x.shape[:2]} with tbptt, got {shape}"
                )
