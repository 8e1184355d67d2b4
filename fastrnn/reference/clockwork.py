"""Clockwork RNN, step by step: what ``fastrnn/layers/clockwork.py`` makes of a pass for each module.

All units are formed at every step by one product with R, whose part below the diagonal of modules is zero,
and those whose period does not divide the step keep what they had. Source: Koutnik et al. 2014
(arXiv:1402.3511).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._types import Array
from .math import tanh


class Weights(NamedTuple):
    """W [H, I], R [H, H], b and b' [H]."""

    weight_ih: Array
    weight_hh: Array
    bias_ih: Array
    bias_hh: Array


def forward(x: Array, w: Weights, h: Array, periods: Array, phase: int = 0) -> Array:
    """Give y [T, B, H], of x [T, B, I] and h [B, H]; `periods` [H] of the units, x[0] being step `phase`."""
    seen = periods[:, None] <= periods
    outputs = []
    for t, x_t in enumerate(x):
        new = tanh(x_t @ w.weight_ih.T + h @ (w.weight_hh * seen).T + w.bias_ih + w.bias_hh)
        h = np.where((phase + t) % periods == 0, new, h)
        outputs.append(h)
    return np.stack(outputs)


def backward(
    x: Array, w: Weights, h: Array, periods: Array, phase: int, dy: Array, dh: Array
) -> tuple[Array, Weights, Array]:
    """Gradients by x, the weights and h, of those by y and the state after it."""
    seen = periods[:, None] <= periods
    y = forward(x, w, h, periods, phase)
    dx, dw = np.zeros_like(x), Weights(*(np.zeros_like(part) for part in w))
    for t in reversed(range(len(x))):
        dh = dh + dy[t]
        updates = (phase + t) % periods == 0
        da = np.where(updates, dh * (1 - y[t] * y[t]), 0)
        dx[t] = da @ w.weight_ih
        dw.weight_ih[...] += da.T @ x[t]
        dw.weight_hh[...] += seen * (da.T @ (y[t - 1] if t else h))
        dw.bias_ih[...] += da.sum(axis=0)
        dw.bias_hh[...] += da.sum(axis=0)
        dh = np.where(updates, 0, dh) + da @ (w.weight_hh * seen)
    return dx, dw, dh
