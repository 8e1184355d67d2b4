"""Where parameters live: a flat aligned buffer for a model, another for gradients, named views into both."""

from __future__ import annotations

import os
import threading
import weakref
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._typing import Array, Shape

ALIGNMENT = 64  # bytes: a cache line, and a whole AVX-512 vector


def aligned_zeros(size: int, dtype: np.dtype[Any]) -> Array:
    """Zeros, [size], that start on a cache line."""
    slack = ALIGNMENT // dtype.itemsize
    block = np.zeros(size + slack, dtype)
    start = -block.ctypes.data % ALIGNMENT // dtype.itemsize
    return block[start : start + size]


class Home:
    """The buffers of one model.

    Attributes
    ----------
    params, grads : ndarray, [n]
        Every parameter of the model, one after the other, and their gradients.
    version : int
        Counts changes of the parameters. A pullback remembers it, and refuses to run once it has changed.
    lock : threading.Lock
        Held while gradients are added or parameters are changed.
    moved : bool
        A part has since moved to another home; what was composed here is no longer whole.
    """

    __slots__ = ("__weakref__", "grads", "lock", "moved", "params", "version")

    def __init__(self, size: int, dtype: np.dtype[Any]) -> None:
        self.params = aligned_zeros(size, dtype)
        self.grads = aligned_zeros(size, dtype)
        self.version = 0
        self.lock = threading.Lock()
        self.moved = False
        _homes.add(self)


_homes: weakref.WeakSet[Home] = weakref.WeakSet()


def _renew_locks() -> None:
    """In a forked child: a lock may be held by a thread that is not there."""
    for home in _homes:
        home.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


def count(shapes: Mapping[str, Shape]) -> int:
    """The number of elements in all `shapes` together."""
    # Python's own integers: a product of NumPy ones would wrap.
    total = 0
    for shape in shapes.values():
        size = 1
        for extent in shape:
            size *= extent
        total += size
    return total


def views(flat: Array, shapes: Mapping[str, Shape]) -> Mapping[str, Array]:
    """Named views of `flat`, laid out one after the other. The mapping is read-only, the arrays are not."""
    named, start = {}, 0
    for name, shape in shapes.items():
        stop = start + count({name: shape})
        named[name] = flat[start:stop].reshape(shape)
        start = stop
    return MappingProxyType(named)
