"""Structurally constrained recurrent network by steps: what ``fastrnn/layers/scrn.py`` makes of two passes.

``s' = (1-a)*(B x) + a*s``, ``h' = sigmoid(A x + P s' + R h + b)``, y = [h, s]. Source: Mikolov et al. 2015
(arXiv:1412.7753), equations 7 to 9.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._types import Array
from .math import sigmoid


class Weights(NamedTuple):
    """B [C, I], [A P] [H, I+C], R [H, H], b and b' [H], and p [C]: a = sigmoid(p)."""

    weight_ic: Array
    weight_ih: Array
    weight_hh: Array
    bias_ih: Array
    bias_hh: Array
    alpha_logit: Array


def forward(x: Array, w: Weights, h: Array, s: Array) -> tuple[Array, Array, Array]:
    """Give y [T, B, H+C] and the states after it, of x [T, B, I], h [B, H] and s [B, C]."""
    a = sigmoid(w.alpha_logit)
    outputs = []
    for x_t in x:
        s = (1 - a) * (x_t @ w.weight_ic.T) + a * s
        seen = np.concatenate([x_t, s], axis=-1)
        h = sigmoid(seen @ w.weight_ih.T + h @ w.weight_hh.T + w.bias_ih + w.bias_hh)
        outputs.append(np.concatenate([h, s], axis=-1))
    return np.stack(outputs), h, s


def backward(
    x: Array, w: Weights, h: Array, s: Array, dy: Array, dh: Array, ds: Array
) -> tuple[Array, Weights, Array, Array]:
    """Gradients by x, the weights, h and s, of those by y and the states after it."""
    hidden, inputs, a = h.shape[-1], x.shape[-1], sigmoid(w.alpha_logit)
    y, _, _ = forward(x, w, h, s)
    dx, dw = np.zeros_like(x), Weights(*(np.zeros_like(part) for part in w))
    for t in reversed(range(len(x))):
        new_h, new_s = y[t][:, :hidden], y[t][:, hidden:]
        old_h, old_s = (y[t - 1][:, :hidden], y[t - 1][:, hidden:]) if t else (h, s)
        da = (dh + dy[t][:, :hidden]) * new_h * (1 - new_h)
        dseen = da @ w.weight_ih
        ds = ds + dy[t][:, hidden:] + dseen[:, inputs:]
        du = ds * (1 - a)
        dx[t] = dseen[:, :inputs] + du @ w.weight_ic
        dw.weight_ic[...] += du.T @ x[t]
        dw.weight_ih[...] += da.T @ np.concatenate([x[t], new_s], axis=-1)
        dw.weight_hh[...] += da.T @ old_h
        dw.bias_ih[...] += da.sum(axis=0)
        dw.bias_hh[...] += da.sum(axis=0)
        dw.alpha_logit[...] += (ds * (old_s - x[t] @ w.weight_ic.T)).sum(axis=0) * a * (1 - a)
        dh, ds = da @ w.weight_hh, ds * a
    return dx, dw, dh, ds
