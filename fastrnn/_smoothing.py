"""Label smoothing beside softmax and cross-entropy, without the logits.

With z the logits, l = log sum exp z and t the target, the smoothed loss is
``(1 - e) (l - z[t]) + e (l - mean z) = (l - z[t]) + e (z[t] - mean z)``: what is added is linear in z, so it
needs one row of the weight for each target, and the mean of all rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core

if TYPE_CHECKING:
    from ._typing import Array


class Smoothing:
    """e * (z[t] - mean z) for the rows that are kept: ``loss``, their sum or mean.

    x is [..., I] and weight [V, I]; targets and kept have the leading axes of x.
    """

    def __init__(
        self, share: float, weight: Array, bias: Any, x: Array, targets: Array, kept: Array, mean: bool
    ) -> None:
        self.kept = kept.reshape(-1)
        self.targets = targets.reshape(-1)[self.kept]
        self.x = x.reshape(-1, x.shape[-1])[self.kept]
        self.factor = share / max(len(self.targets), 1) if mean else share
        # [n, I]: what z[t] - mean z is the product of x with
        self.apart = _core.embedding(self.targets, weight) - weight.mean(axis=0, dtype=np.float64).astype(
            weight.dtype
        )
        total = float(np.sum(self.apart * self.x, dtype=np.float64))
        if bias is not None:
            total += float(np.sum(bias[self.targets] - bias.mean(dtype=np.float64)))
        self.loss = self.factor * total

    def add(self, scale: float, dweight: Array, dbias: Any, dx: Array | None) -> None:
        """Add the gradients of scale * loss."""
        factor, classes = dweight.dtype.type(scale * self.factor), len(dweight)
        scaled = self.x * factor
        _core.embedding_backward(self.targets, scaled, dweight)
        dweight -= (scaled.sum(axis=0, dtype=np.float64) / classes).astype(dweight.dtype)
        if dbias is not None:
            counts = np.bincount(self.targets, minlength=classes) - len(self.targets) / classes
            dbias += (factor * counts).astype(dbias.dtype)
        if dx is not None:
            dx.reshape(-1, dx.shape[-1])[self.kept] += factor * self.apart
