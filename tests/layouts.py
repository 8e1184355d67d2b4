"""Places in memory for equal arrays: the answer must not depend on them.

A layout takes the name and the array. Weights and tables stay contiguous; sequences and states may have any
strides on the axes before the last.
"""

from __future__ import annotations

import numpy as np

WEIGHTS = {"weights", "weight", "bias", "table", "loss"}


def read_only(name: str, a: np.ndarray) -> np.ndarray:
    """Not writeable."""
    b = a.copy()
    b.flags.writeable = False
    return b


def _at_offset(a: np.ndarray, offset: int) -> np.ndarray:
    raw = np.zeros(a.nbytes + 64 + offset, np.uint8)
    start = -raw.ctypes.data % 64 + offset
    b = raw[start : start + a.nbytes].view(a.dtype).reshape(a.shape)
    b[...] = a
    return b


def off_by_one_element(name: str, a: np.ndarray) -> np.ndarray:
    """One element past a cache line."""
    return _at_offset(a, a.itemsize)


def off_by_one_byte(name: str, a: np.ndarray) -> np.ndarray:
    """One byte past a cache line: not aligned for its own elements."""
    return _at_offset(a, 1)


def padded(name: str, a: np.ndarray) -> np.ndarray:
    """A window of a larger array: every axis but the last has a stride of its own."""
    if name in WEIGHTS or a.ndim < 2:
        return a.copy()
    big = np.full([n + 3 for n in a.shape], 99, a.dtype)
    window = big[tuple(slice(1, n + 1) for n in a.shape)]
    window[...] = a
    return window


def every_other(name: str, a: np.ndarray) -> np.ndarray:
    """Every other entry along the first axis, backwards: a negative stride."""
    if name in WEIGHTS or a.ndim < 2:
        return a.copy()
    big = np.full((2 * len(a), *a.shape[1:]), 99, a.dtype)
    window = big[::-2]
    window[...] = a
    return window


def turned(name: str, a: np.ndarray) -> np.ndarray:
    """The first two axes swapped in memory."""
    return a.swapaxes(0, 1).copy().swapaxes(0, 1) if a.ndim == 3 else a.copy()


ALL = {f.__name__: f for f in (read_only, off_by_one_element, off_by_one_byte, padded, every_other, turned)}


def without_padding(a: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The rows that there are, from the last step on."""
    return np.concatenate([a[t, lengths > t] for t in reversed(range(len(a)))])
