"""The nearest rows of a matrix. Mirror of ``csrc/kernels/nearest.h``."""

from __future__ import annotations

import numpy as np

from ._types import Array


def nearest(queries: Array, vectors: Array, scale: Array | None, topn: int) -> tuple[Array, Array]:
    """
    Rows of vectors [V, D] whose product with a query of [Q, D], times scale [V], is largest.

    Returns their indices and the scaled products, [Q, min(topn, V)] each: best first, NaN last, of equal ones
    the smaller index first.
    """
    scores = queries @ vectors.T
    if scale is not None:
        scores = scores * scale
    best = np.argsort(-scores, axis=1, kind="stable")[:, :topn]
    return best, np.take_along_axis(scores, best, axis=1)
