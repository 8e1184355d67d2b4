"""The nearest rows to queries, in pieces that leave room for Ctrl-C; and the best of an array of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastrnn import _core

if TYPE_CHECKING:
    from fastrnn._typing import Array

FLOPS = 2e10  # of one call of the kernel: some 0.2 s
PAIRS = 1 << 22  # kept by one call of the kernel, of 12 or 16 bytes for each thread


def computable(vectors: Array) -> Array:
    """`vectors` as the kernel takes them: float32 or float64, rows of numbers that lie together."""
    if vectors.dtype not in (np.float32, np.float64):
        return vectors.astype(np.float32)
    return vectors if vectors.strides[-1] == vectors.itemsize else np.ascontiguousarray(vectors)


def nearest(queries: Array, vectors: Array, norms: Array, topn: int) -> tuple[Array, Array]:
    """
    Return the rows of vectors [V, D] with the largest cosine to each of queries [Q, D], all of length 1.

    Indices int64 and cosines, [Q, min(topn, V)]: best first, of equal ones the first row first; last the rows
    of length 0, whose cosine is NaN.
    """
    vectors = computable(vectors)
    queries = np.ascontiguousarray(queries, vectors.dtype)
    with np.errstate(divide="ignore"):
        scale = np.divide(1, norms, dtype=vectors.dtype)
    best = min(topn, len(vectors))
    index = np.empty((len(queries), best), np.int64)
    score = np.empty((len(queries), best), vectors.dtype)
    if best == 0:
        return index, score
    step = max(64, int(FLOPS / (2 * vectors.size + 1)) // 64 * 64)
    step = max(1, min(step, PAIRS // best))
    for at in range(0, len(queries), step):
        part = slice(at, at + step)
        index[part], score[part] = _core.nearest(queries[part], vectors, scale, best)
    return index, score


def best_of(scores: Array, topn: int) -> Array:
    """Return the indices of the `topn` largest of `scores` [V], best first, of equal ones the first first."""
    if topn < len(scores):
        candidates = np.argpartition(-scores, topn - 1)[:topn]
        limit = scores[candidates].min()
        if not np.isnan(limit):
            candidates = np.flatnonzero(scores >= limit)
            return candidates[np.argsort(-scores[candidates], kind="stable")][:topn]
    return np.argsort(-scores, kind="stable")[:topn]
