"""Convolution over the steps, and the largest over time. Mirror of ``csrc/kernels/convolution.h``.

y[b, f] = max over t < lengths[b] of bias[f] + sum over j, i of weight[f, i, j] x[t + j - (W - 1) // 2, b, i],
where x is zero outside of the row (Collobert et al. 2011, JMLR 12; Kim 2014, EMNLP). The first step counts
where several are equal, and a NaN is the largest. A row without steps gives zeros.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._types import Array


class Gradients(NamedTuple):
    """By x [T, B, I], weight [F, I, W] and bias [F]."""

    x: Array
    weight: Array
    bias: Array


def _windows(row: Array, width: int) -> Array:
    """[L, I, W]: what each filter reads at each step of a row [L, I]."""
    before, length = (width - 1) // 2, len(row)
    padded = np.zeros((length + width - 1, row.shape[1]), row.dtype)
    padded[before : before + length] = row
    return np.stack([padded[t : t + width].T for t in range(length)])


def _scores(windows: Array, weight: Array, bias: Array) -> Array:
    return np.asarray(np.einsum("tij,fij->tf", windows, weight) + bias)


def _largest(scores: Array) -> Array:
    return np.asarray(np.argmax(np.real(scores), axis=0))


def forward(x: Array, weight: Array, bias: Array, lengths: Array) -> Array:
    """Give y [B, F] for x [T, B, I]."""
    y = np.zeros((x.shape[1], len(weight)), np.result_type(x, weight, bias))
    for b, length in enumerate(lengths):
        if length:
            scores = _scores(_windows(x[:length, b], weight.shape[2]), weight, bias)
            y[b] = scores[_largest(scores), np.arange(len(weight))]
    return y


def backward(dy: Array, x: Array, weight: Array, bias: Array, lengths: Array) -> Gradients:
    """Give the gradients; that of a largest score goes to the first step that has it."""
    width = weight.shape[2]
    before = (width - 1) // 2
    dx, dweight, dbias = (np.zeros(a.shape, dy.dtype) for a in (x, weight, bias))
    for b, length in enumerate(lengths):
        if not length:
            continue
        windows = _windows(x[:length, b], width)
        for f, at in enumerate(_largest(_scores(windows, weight, bias))):
            dweight[f] += dy[b, f] * windows[at]
            dbias[f] += dy[b, f]
            for j in range(width):
                t = at + j - before
                if 0 <= t < length:
                    dx[t, b] += dy[b, f] * weight[f, :, j]
    return Gradients(dx, dweight, dbias)
