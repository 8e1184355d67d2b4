"""Dropout with masks from a counter. Mirror of ``csrc/kernels/dropout.h``. This docstring defines the mask.

The element at absolute step ``s``, batch row ``b`` and unit ``u`` is decided by one 32-bit word::

    word = philox(key, counter_lo = (u // 4) | (b << 32), counter_hi = s)[u % 4]
    kept = word >= floor(p * 2**32)
    y    = x * (1 / (1 - p)) if kept else +0

``s`` is the step of the array's first row plus the index along time, so a sequence cut into chunks is masked
as the whole. A 2-D array ``[N, H]`` is the single step ``s = step`` with ``b`` its row. ``p`` is taken in
float64 for the threshold; ``1 / (1 - p)`` is computed in the dtype of the array (``one / (one - T(p))``). A
dropped element is +0 whatever ``x`` holds, NaN and infinity included. ``p`` lies in ``[0, 1)``.

The mask depends on nothing else: not on threads, splits, the size of the batch, or the instruction set.
Backward is the same function applied to ``dy``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ._types import Array
from .rng import philox


def keep_mask(shape: tuple[int, ...], p: float, key: int, step: int = 0) -> npt.NDArray[np.bool_]:
    """Mask of the elements that survive; shape [T, B, H], or [N, H] for the single step `step`."""
    steps, rows, units = (1, *shape) if len(shape) == 2 else shape
    s = np.arange(steps, dtype=np.uint64)[:, None, None] + np.uint64(step)
    b = np.arange(rows, dtype=np.uint64)[:, None]
    quad = np.arange((units + 3) // 4, dtype=np.uint64)
    words = philox(key, quad | (b << np.uint64(32)), s).reshape(steps, rows, 4 * len(quad))[..., :units]
    return np.asarray(words >= np.uint64(math.floor(p * 2.0**32))).reshape(shape)


def dropout(x: Array, p: float, key: int, step: int = 0) -> Array:
    """``x`` with a fraction `p` of its elements dropped and the others scaled by ``1 / (1 - p)``.

    Parameters
    ----------
    x : ndarray, shape (T, B, H) or (N, H)
    p : float
        Probability of dropping an element, in ``[0, 1)``.
    key : int
        64-bit key of the mask.
    step : int
        Absolute step of the first row along time.
    """
    real: np.dtype[Any] = np.real(x).dtype
    one = real.type(1)
    scale = one / (one - real.type(p))
    return np.asarray(np.where(keep_mask(x.shape, p, key, step), x * scale, x.dtype.type(0)))
