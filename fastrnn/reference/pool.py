"""One vector for a sequence: its last step, the mean, or the largest. Mirror of ``csrc/kernels/pool.h``.

Of a row b only the steps ``t < lengths[b]`` count; a row without steps gives zeros.
"""

from __future__ import annotations

import numpy as np

from ._types import Array


def _ends(b: int, lengths: Array, columns: int, turned: int) -> tuple[Array, Array]:
    """For each column the last step of row b: step 0 for those that run backwards in time."""
    column = np.arange(columns)
    return np.where(column < columns - turned, lengths[b] - 1, 0), column


def _largest(x: Array) -> Array:
    """The first step of the largest element of each column; a NaN is the largest."""
    return np.asarray(np.argmax(np.real(x), axis=0))


def forward(x: Array, lengths: Array, kind: str, turned: int = 0) -> Array:
    """Give y [B, H] for x [T, B, H]; the last `turned` columns run backwards in time, for `kind` "last"."""
    columns = x.shape[2]
    y = np.zeros(x.shape[1:], x.dtype)
    for b, length in enumerate(lengths):
        if not length:
            continue
        row = x[:length, b]
        if kind == "last":
            y[b] = x[_ends(b, lengths, columns, turned)[0], b, np.arange(columns)]
        elif kind == "mean":
            y[b] = row.sum(axis=0) / x.dtype.type(length)
        else:
            y[b] = row[_largest(row), np.arange(columns)]
    return y


def backward(dy: Array, x: Array, lengths: Array, kind: str, turned: int = 0) -> Array:
    """Give dx; the gradient by a largest element goes to the first step that has it."""
    dx = np.zeros(x.shape, dy.dtype)
    columns = x.shape[2]
    for b, length in enumerate(lengths):
        if not length:
            continue
        if kind == "last":
            at, column = _ends(b, lengths, columns, turned)
            dx[at, b, column] = dy[b]
        elif kind == "mean":
            dx[:length, b] = dy[b] / dy.dtype.type(length)
        else:
            dx[_largest(x[:length, b]), b, np.arange(columns)] = dy[b]
    return dx
