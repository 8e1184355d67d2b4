"""Affine map ``y = x W' + b``. Mirror of ``csrc/kernels/linear.h``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._types import Array


class Gradients(NamedTuple):
    """Gradients of `linear`; `bias` is given whether the layer has one or not."""

    x: Array
    weight: Array
    bias: Array


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """``x W' + b`` for x [..., I], weight [O, I], bias [O]; the result is [..., O]."""
    y = x @ weight.T
    return y if bias is None else y + bias


def linear_backward(dy: Array, x: Array, weight: Array) -> Gradients:
    """Gradients of ``<dy, linear(x)>``: ``dy W``, ``dy' x`` and the sum of the rows of dy."""
    rows, inputs = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    return Gradients(np.asarray(dy @ weight), np.asarray(rows.T @ inputs), np.asarray(rows.sum(axis=0)))
