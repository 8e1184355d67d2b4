"""Linear map, softmax and cross entropy as one function. Mirror of ``csrc/kernels/cross_entropy.h``.

For logits ``z = W x + b`` of a row with target k the loss is ``log(sum(exp(z))) - z[k]``, in nats. Rows whose
target is ``ignore_index``, or that a mask leaves out, count for nothing. The result is the sum over the
other rows, or their mean.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._types import Array, Tokens
from .linear import linear, linear_backward

Mask = npt.NDArray[np.bool_]


class Gradients(NamedTuple):
    """Gradients of ``scale * loss``."""

    x: Array
    weight: Array
    bias: Array


def _log_softmax(z: Array) -> Array:
    # The shift cancels in value and in derivative, so its imaginary part may be dropped.
    shifted = z - np.real(z).max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _rows(x: Array, targets: Tokens, ignore_index: int, mask: Mask | None) -> tuple[Array, Tokens, Mask]:
    flat = targets.reshape(-1)
    counted = flat != ignore_index
    if mask is not None:
        counted &= mask.reshape(-1)
    return x.reshape(-1, x.shape[-1]), np.where(counted, flat, 0), counted


def cross_entropy(
    x: Array,
    weight: Array,
    bias: Array | None,
    targets: Tokens,
    ignore_index: int = -100,
    mean: bool = True,
    mask: Mask | None = None,
    bfloat16: bool = False,
) -> tuple[Any, int]:
    """Loss and number of rows that count.

    Parameters
    ----------
    x : ndarray, shape (..., I)
    weight, bias : ndarray, shapes (V, I) and (V,)
    targets : ndarray of int, shape (...)
        Classes in ``[0, V)``, or `ignore_index`.
    mask : ndarray of bool, shape (...), optional
        False: the row does not count, whatever its target.
    mean : bool
        Mean over the counted rows instead of their sum. With no counted row it is NaN, as the mean of
        nothing.

    Returns
    -------
    loss : scalar of the dtype of x
    count : int
    """
    rows, classes, counted = _rows(x, targets, ignore_index, mask)
    log_p = _log_softmax(linear(rows, weight, bias, bfloat16))
    total = -np.where(counted, log_p[np.arange(len(rows)), classes], 0).sum()
    count = int(counted.sum())
    if mean:
        return (total / count if count else total * np.nan), count
    return total, count


def cross_entropy_backward(
    x: Array,
    weight: Array,
    bias: Array | None,
    targets: Tokens,
    ignore_index: int = -100,
    mean: bool = True,
    scale: float = 1.0,
    mask: Mask | None = None,
    bfloat16: bool = False,
) -> Gradients:
    """Gradients of ``scale * loss``: for the logits ``(softmax(z) - onehot(target)) * scale / count``.

    With no counted row all gradients are zero.
    """
    rows, classes, counted = _rows(x, targets, ignore_index, mask)
    dz = np.exp(_log_softmax(linear(rows, weight, bias, bfloat16)))
    dz[np.arange(len(rows)), classes] -= 1
    count = max(int(counted.sum()), 1) if mean else 1
    dz = np.where(counted[:, None], dz * (scale / count), 0)
    rows = np.where(counted[:, None], rows, 0)  # what they hold, a NaN too, stays out of the gradients
    by_logits = dz.astype(x.dtype).reshape(*x.shape[:-1], len(weight))
    g = linear_backward(by_logits, rows.reshape(x.shape), weight, bfloat16)
    return Gradients(g.x, g.weight, g.bias)
