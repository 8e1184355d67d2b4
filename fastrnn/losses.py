"""Losses: ``loss = head(y, targets)``, and ``loss, dy = head.value_and_grad(y, targets)`` for training.

Every call takes ``mask=``, bools: what is False counts for nothing, in the loss, in the mean and in the
gradients, whatever x and targets hold there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _check, _core
from ._plain_loss import REDUCTIONS, Plain, rows
from .layers.base import Layer, Once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._smoothing import Smoothing
    from ._typing import Array, Maybe


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
    label_smoothing : float
        e, with 0 <= e < 1: the loss is (1 - e) of that of the target and e of the mean over all classes
        (Szegedy et al. 2016, arXiv:1512.00567; as PyTorch). `total` is without it.
    dtype : {"float32", "float64"}
    compute : {"bfloat16"}, optional
        What products are computed in, if not in the dtype; see `set_compute`, also for `strict`. Label
        smoothing's own part is float32.
    seed : int, optional
        For the initial parameters, U(-1/sqrt(I), 1/sqrt(I)) as a Linear layer's.
    """

    _multiplies = True

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        bias: bool = True,
        ignore_index: int = -100,
        reduction: str = "mean",
        *,
        label_smoothing: float = 0.0,
        dtype: str = "float32",
        compute: str | None = None,
        strict: bool = False,
        seed: int | None = None,
    ) -> None:
        self.in_features = _check.integer("in_features", in_features, 1)
        self.num_classes = _check.integer("num_classes", num_classes, 1)
        self.bias = _check.flag("bias", bias)
        self.ignore_index = _check.label("ignore_index", ignore_index)
        self.reduction = _check.choice("reduction", reduction, REDUCTIONS)
        self._mean = reduction == "mean"
        self.label_smoothing = _check.real("label_smoothing", label_smoothing, 0.0, 1.0)
        shapes: dict[str, tuple[int, ...]] = {"weight": (self.num_classes, self.in_features)}
        if self.bias:
            shapes["bias"] = (self.num_classes,)
        self._declare(shapes, _check.dtype("dtype", dtype))
        self._initialise(self.in_features**-0.5, seed)
        self.set_compute(compute, strict=strict)

    def __call__(self, x: Array, targets: Array, *, mask: Array | None = None) -> float:
        """Give the loss.

        Parameters
        ----------
        x : ndarray, [T, B, I] or [N, I]
        targets : int32 or int64 ndarray, [T, B] or [N]
            In [0, V), or ``ignore_index``.
        mask : bool ndarray like targets, optional
            Which rows count.

        Raises
        ------
        ValueError, TypeError
            A shape, a dtype or a target is wrong.
        """
        weight, bias = self._tables()
        ignored, rounds = self.ignore_index, self._bfloat16
        loss, _ = _core.cross_entropy(x, weight, bias, targets, ignored, self._mean, mask, rounds)
        return loss + self._smoothing(x, targets, mask).loss if self.label_smoothing else loss

    def total(self, x: Array, targets: Array, *, mask: Array | None = None) -> tuple[float, int]:
        """Give the sum over the rows, whatever the reduction, without smoothing, and their number."""
        weight, bias = self._tables()
        rounds = self._bfloat16
        return _core.cross_entropy(x, weight, bias, targets, self.ignore_index, False, mask, rounds)

    def logits(self, x: Array) -> Array:
        """Give x weight' + bias, [..., V], as a prediction needs it."""
        weight, bias = self._tables()
        return _core.linear(x, weight, bias, self._bfloat16)

    def vjp(
        self, x: Array, targets: Array, *, mask: Array | None = None
    ) -> tuple[float, LinearCrossEntropyPullback]:
        """Give the loss and ``dx = pullback(scale=1.0, grads=None)``; `value_and_grad` does less work."""
        return self(x, targets, mask=mask), LinearCrossEntropyPullback(self, x, targets, mask)

    def value_and_grad(
        self,
        x: Array,
        targets: Array,
        grads: Any = None,
        scale: float = 1.0,
        *,
        mask: Array | None = None,
        want_dx: bool = True,
    ) -> tuple[float, Maybe]:
        """Give the loss and its gradient by x, and add the parameters' gradients into ``self.grads``.

        Parameters
        ----------
        x, targets, mask
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
            return self._value_and_grad(x, targets, self._into(grads), scale, mask, want_dx)
        with self._home.lock:
            return self._value_and_grad(x, targets, self._table_gradients(), scale, mask, want_dx)

    def _value_and_grad(
        self, x: Array, targets: Array, into: Any, scale: float, mask: Array | None, want_dx: bool
    ) -> tuple[float, Array | None]:
        if type(scale) is not float:
            scale = _check.real("scale", scale, -np.inf)
        weight, bias = self._tables()
        dweight, dbias = into
        loss, _, dx = _core.cross_entropy_grad(
            x, weight, bias, targets, self.ignore_index, self._mean, scale, dweight, dbias, want_dx, mask,
            self._bfloat16,
        )  # fmt: skip
        if self.label_smoothing:
            more = self._smoothing(x, targets, mask)
            loss += more.loss
            more.add(scale, dweight, dbias, dx)
        return loss, dx

    def _smoothing(self, x: Array, targets: Array, mask: Array | None) -> Smoothing:
        from ._smoothing import Smoothing

        kept = targets != self.ignore_index
        kept = kept if mask is None else kept & mask
        weight, bias = self._tables()
        return Smoothing(self.label_smoothing, weight, bias, x, targets, kept, self._mean)

    def _tables(self) -> Any:
        """Weight and bias; another layer may have the weight."""
        return self._weights

    def _table_gradients(self) -> Any:
        return self._gradients

    def _terms(self, targets: Array, mask: Array | None) -> int:
        return rows(targets, self.ignore_index, mask)

    def _pack(self, named: Mapping[str, Array]) -> Any:
        return (named["weight"], named.get("bias"))

    def _letters(self, name: str) -> str:
        return {"weight": "V, I", "bias": "V,"}[name]

    def _describe(self) -> str:
        return f"{self.in_features}, {self.num_classes}"


class LinearCrossEntropyPullback(Once):
    """Gradients of one ``vjp`` call of LinearCrossEntropy. One-shot."""

    __slots__ = ()

    def __call__(self, scale: float = 1.0, grads: Any = None, *, want_dx: bool = True) -> Maybe:
        """Give the gradient of scale * loss by x, and add the parameters' into ``grads``."""
        x, targets, mask = self._take()
        dx: Array | None
        _, dx = self._layer.value_and_grad(x, targets, grads, scale, mask=mask, want_dx=want_dx)
        return dx


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

    def _loss(
        self, y: Array, targets: Array, mask: Array | None, scale: float | None
    ) -> tuple[float, int, Array | None]:
        classes = _check.floats("y", y).shape[-1]
        chosen = _check.mask(mask, y.shape[:-1])
        kept = _check.labels("targets", targets, y.shape[:-1], classes, self.ignore_index, chosen).reshape(-1)
        logits, wanted = y.reshape(-1, classes)[kept], targets.reshape(-1)[kept]
        count, place = len(wanted), (np.arange(len(wanted)), wanted)
        shifted = logits - logits.max(axis=1, keepdims=True)
        exps = np.exp(shifted)
        sums = exps.sum(axis=1, keepdims=True)
        total = float(np.sum(np.log(sums[:, 0]) - shifted[place], dtype=np.float64))
        if scale is None:
            return total, count, None
        exps /= sums
        exps[place] -= 1
        exps *= y.dtype.type(self._factor(scale, count))
        dy = np.zeros((kept.size, classes), y.dtype)
        dy[kept] = exps
        return total, count, dy.reshape(y.shape)

    def _terms(self, targets: Array, mask: Array | None) -> int:
        return rows(targets, self.ignore_index, mask)


class MSE(Plain):
    """Squared error: the mean or the sum of (y - targets)**2 over all elements.

    A mask is like y, or lacks its last axes: [T, B] for y [T, B, O].

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Over the elements that the mask leaves.
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction)

    def _loss(
        self, y: Array, targets: Array, mask: Array | None, scale: float | None
    ) -> tuple[float, int, Array | None]:
        _check.floats("y", y)
        _check.array("targets", targets, y.shape, y.dtype)
        count = self._terms(targets, mask)
        with np.errstate(invalid="ignore"):  # what the mask leaves out may be anything
            difference = y - targets
        if mask is not None:
            difference[~mask] = 0
        total = float(np.sum(np.square(difference), dtype=np.float64))
        if scale is not None:
            difference *= y.dtype.type(2.0 * self._factor(scale, count))
        return total, count, difference

    def _terms(self, targets: Array, mask: Array | None) -> int:
        if mask is None:
            return targets.size
        chosen = _check.mask(mask, targets.shape[: np.ndim(mask)] if np.ndim(mask) else targets.shape)
        return int(np.count_nonzero(chosen)) * (targets.size // max(chosen.size, 1))
