"""Affine map ``y = x W' + b``. Mirror of ``csrc/kernels/linear.h``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._types import Array
from .bfloat16 import multiply, paired


class Gradients(NamedTuple):
    """Gradients of `linear`; `bias` is given whether the layer has one or not."""

    x: Array
    weight: Array
    bias: Array


def linear(x: Array, weight: Array, bias: Array | None = None, bfloat16: bool = False) -> Array:
    """``x W' + b`` for x [..., I], weight [O, I], bias [O]; the result is [..., O]."""
    if bfloat16:
        return multiply(x, weight.T, bias)
    y = x @ weight.T
    return y if bias is None else y + bias


def linear_backward(dy: Array, x: Array, weight: Array, bfloat16: bool = False) -> Gradients:
    """Gradients of ``<dy, linear(x)>``: ``dy W``, ``dy' x`` and the sum of the rows of dy.

    With bfloat16 x is [T, B, I], or [N, I], the rows of one step; the sum of the rows is of dy as it is.
    """
    if bfloat16:
        cubes = [a if a.ndim == 3 else a[None] for a in (dy, x)]
        by_output, by_input = (paired(a) for a in cubes)
        summed = np.asarray(dy.reshape(-1, dy.shape[-1]).sum(axis=0))
        return Gradients(multiply(dy, weight), multiply(by_output.T, by_input), summed)
    rows, inputs = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    return Gradients(np.asarray(dy @ weight), np.asarray(rows.T @ inputs), np.asarray(rows.sum(axis=0)))
