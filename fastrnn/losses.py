"""Losses: ``loss = head(y, targets)``, and ``loss, dy = head.value_and_grad(y, targets)`` for training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _check, _core
from .layers.base import Layer, Once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._typing import Array

_REDUCTIONS = ("mean", "sum")


class LinearCrossEntropy(Layer):
    """Linear layer, softmax and cross-entropy as one: -sum log softmax(x weight' + bias)[target], in nats.

    The logits exist for some rows at a time only, never as an array of T*B*V.

    Parameters
    ----------
    in_features, num_classes : int
        I and V; ``weight`` is [V, I], ``bias`` [V].
    bias : bool
        Have a bias.
    ignore_index : int
        Rows with this target count for nothing, in the loss, in the mean and in the gradients.
    reduction : {"mean", "sum"}
        Over the rows that are not ignored.
    dtype : {"float32", "float64"}
    seed : int, optional
        For the initial parameters, U(-1/sqrt(I), 1/sqrt(I)) as a Linear layer's.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        bias: bool = True,
        ignore_index: int = -100,
        reduction: str = "mean",
        *,
        dtype: str = "float32",
        seed: int | None = None,
    ) -> None:
        self.in_features = _check.integer("in_features", in_features, 1)
        self.num_classes = _check.integer("num_classes", num_classes, 1)
        self.bias = _check.flag("bias", bias)
        self.ignore_index = _check.label("ignore_index", ignore_index)
        self.reduction = _check.choice("reduction", reduction, _REDUCTIONS)
        self._mean = reduction == "mean"
        shapes: dict[str, tuple[int, ...]] = {"weight": (self.num_classes, self.in_features)}
        if self.bias:
            shapes["bias"] = (self.num_classes,)
        self._declare(shapes, _check.dtype("dtype", dtype))
        self._initialise(self.in_features**-0.5, seed)

    def __call__(self, x: Array, targets: Array) -> float:
        """Give the loss.

        Parameters
        ----------
        x : ndarray, [T, B, I] or [N, I]
        targets : int32 or int64 ndarray, [T, B] or [N]
            In [0, V), or ``ignore_index``.

        Raises
        ------
        ValueError, TypeError
            A shape, a dtype or a target is wrong.
        """
        weight, bias = self._weights
        return _core.cross_entropy(x, weight, bias, targets, self.ignore_index, self._mean)[0]

    def total(self, x: Array, targets: Array) -> tuple[float, int]:
        """Give the sum over the rows, whatever the reduction, and their number."""
        weight, bias = self._weights
        return _core.cross_entropy(x, weight, bias, targets, self.ignore_index, False)

    def logits(self, x: Array) -> Array:
        """Give x weight' + bias, [..., V], as a prediction needs it."""
        return _core.linear(x, *self._weights)

    def vjp(self, x: Array, targets: Array) -> tuple[float, LinearCrossEntropyPullback]:
        """Give the loss and ``dx = pullback(scale=1.0, grads=None)``; `value_and_grad` does less work."""
        return self(x, targets), LinearCrossEntropyPullback(self, x, targets)

    def value_and_grad(
        self, x: Array, targets: Array, grads: Any = None, scale: float = 1.0, *, want_dx: bool = True
    ) -> tuple[float, Array | None]:
        """Give the loss and its gradient by x, and add the parameters' gradients into ``self.grads``.

        Parameters
        ----------
        x, targets
            As in a plain call.
        grads : ndarray like ``flat_grads``, or mapping like ``grads``, optional
            Add into this instead; no lock is taken.
        scale : float
            Of the gradients, not of the loss that is returned.
        want_dx : bool
            Form the gradient by x.

        Returns
        -------
        loss : float
        dx : ndarray like x, or None if not wanted
            The gradient of scale * loss.
        """
        if grads is not None:
            return self._value_and_grad(x, targets, self._into(grads), scale, want_dx)
        with self._home.lock:
            return self._value_and_grad(x, targets, self._gradients, scale, want_dx)

    def _value_and_grad(
        self, x: Array, targets: Array, into: Any, scale: float, want_dx: bool
    ) -> tuple[float, Array | None]:
        if type(scale) is not float:
            scale = _check.real("scale", scale, -np.inf)
        weight, bias = self._weights
        dweight, dbias = into
        loss, _, dx = _core.cross_entropy_grad(
            x, weight, bias, targets, self.ignore_index, self._mean, scale, dweight, dbias, want_dx
        )
        return loss, dx

    def _pack(self, named: Mapping[str, Array]) -> Any:
        return (named["weight"], named.get("bias"))

    def _letters(self, name: str) -> str:
        return {"weight": "V, I", "bias": "V,"}[name]

    def _describe(self) -> str:
        return f"{self.in_features}, {self.num_classes}"


class LinearCrossEntropyPullback(Once):
    """Gradients of one ``vjp`` call of LinearCrossEntropy. One-shot."""

    __slots__ = ()

    def __call__(self, scale: float = 1.0, grads: Any = None, *, want_dx: bool = True) -> Array | None:
        """Give the gradient of scale * loss by x, and add the parameters' into ``grads``."""
        x, targets = self._take()
        dx: Array | None = self._layer.value_and_grad(x, targets, grads, scale, want_dx=want_dx)[1]
        return dx


class Plain(Layer):
    """A loss without parameters; a subclass has ``_loss(y, targets) -> (loss, count, gradient or None)``."""

    def __init__(self, reduction: str) -> None:
        self.reduction = _check.choice("reduction", reduction, _REDUCTIONS)
        self._declare({}, None)

    def _loss(self, y: Array, targets: Array, scale: float | None) -> tuple[float, int, Array | None]:
        raise NotImplementedError

    def __call__(self, y: Array, targets: Array) -> float:
        """Give the loss."""
        total, count, _ = self._loss(y, targets, None)
        return self._reduce(total, count)

    def total(self, y: Array, targets: Array) -> tuple[float, int]:
        """Give the sum, whatever the reduction, and the number of terms: for a mean over many batches."""
        return self._loss(y, targets, None)[:2]

    def vjp(self, y: Array, targets: Array) -> tuple[float, _PlainPullback]:
        """Give the loss and ``dy = pullback(scale=1.0)``."""
        return self(y, targets), _PlainPullback(self, y, targets)

    def value_and_grad(
        self, y: Array, targets: Array, grads: Any = None, scale: float = 1.0, *, want_dx: bool = True
    ) -> tuple[float, Array | None]:
        """Give the loss, and the gradient of scale * loss by y; there are no parameters for `grads`."""
        total, count, dy = self._loss(y, targets, _check.real("scale", scale, -np.inf))
        return self._reduce(total, count), dy if want_dx else None

    def _reduce(self, total: float, count: int) -> float:
        if self.reduction == "sum":
            return total
        return total / count if count else float("nan")

    def _factor(self, scale: float, count: int) -> float:
        return scale / max(count, 1) if self.reduction == "mean" else scale


class _PlainPullback(Once):
    """Gradient of one ``vjp`` call of a loss without parameters. One-shot."""

    __slots__ = ()

    def __call__(self, scale: float = 1.0, grads: Any = None) -> Array | None:
        """Give the gradient of scale * loss by y."""
        y, targets = self._take()
        dy: Array | None = self._layer.value_and_grad(y, targets, grads, scale)[1]
        return dy


class CrossEntropy(Plain):
    """Softmax and cross-entropy on given logits: loss = -sum log softmax(y)[target], in nats.

    Plain NumPy, for small outputs; `LinearCrossEntropy` has the last layer in it and is much faster.

    Parameters
    ----------
    ignore_index : int
        Rows with this target count for nothing.
    reduction : {"mean", "sum"}
        Over the rows that are not ignored.
    """

    def __init__(self, ignore_index: int = -100, reduction: str = "mean") -> None:
        self.ignore_index = _check.label("ignore_index", ignore_index)
        super().__init__(reduction)

    def _loss(self, y: Array, targets: Array, scale: float | None) -> tuple[float, int, Array | None]:
        classes = _check.floats("y", y).shape[-1]
        _check.labels("targets", targets, y.shape[:-1], classes, self.ignore_index)
        rows, wanted = y.reshape(-1, classes), targets.reshape(-1)
        kept = wanted != self.ignore_index
        count, place = int(np.count_nonzero(kept)), (np.arange(wanted.size), np.where(kept, wanted, 0))
        shifted = rows - rows.max(axis=1, keepdims=True)
        exps = np.exp(shifted)
        sums = exps.sum(axis=1, keepdims=True)
        total = float(np.sum((np.log(sums[:, 0]) - shifted[place])[kept], dtype=np.float64))
        if scale is None:
            return total, count, None
        exps /= sums
        exps[place] -= 1
        exps[~kept] = 0
        exps *= y.dtype.type(self._factor(scale, count))
        return total, count, exps.reshape(y.shape)


class MSE(Plain):
    """Squared error: the mean or the sum of (y - targets)**2 over all elements.

    Parameters
    ----------
    reduction : {"mean", "sum"}
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction)

    def _loss(self, y: Array, targets: Array, scale: float | None) -> tuple[float, int, Array | None]:
        _check.floats("y", y)
        _check.array("targets", targets, y.shape, y.dtype)
        difference = y - targets
        total = float(np.sum(np.square(difference), dtype=np.float64))
        if scale is not None:
            difference *= y.dtype.type(2.0 * self._factor(scale, y.size))
        return total, y.size, difference
