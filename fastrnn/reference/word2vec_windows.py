"""What a step works on: kept words, windows, negatives. Mirror of ``csrc/kernels/word2vec_windows.h``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._types import Array, Tokens
from .rng import draw64

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


@dataclass
class Corpus:
    """Ids and what becomes of them.

    Attributes
    ----------
    ids : ndarray, shape (N,)
        Types.
    offsets : ndarray, shape (S + 1,)
    types : ndarray of int32, shape (types, 2)
        The word of a type or -1, and the bits of the threshold up to which it is kept.
    """

    ids: Tokens
    offsets: Tokens
    types: Tokens


def kept(corpus: Corpus, key: int) -> tuple[Tokens, Array]:
    """Positions whose words take part in an epoch, and the random stream of every position."""
    streams = draw64(key, np.arange(len(corpus.ids)))
    words, thresholds = corpus.types[corpus.ids].T
    takes_part = (words >= 0) & ((streams & _LOW) <= thresholds.astype(np.int32).view(np.uint32))
    return np.flatnonzero(takes_part), streams


def reach(streams: Array, window: int, shrink: bool) -> Tokens:
    """How far the windows of these positions reach: uniform in 1..window."""
    if not shrink:
        return np.full(len(streams), window)
    return 1 + ((streams >> _HALF) * np.uint64(window) >> _HALF).astype(np.int64)


def negatives(alias: Tokens, stream: Array, count: int, first: int = 0) -> Tokens:
    """Noise words number first .. first + count of a position."""
    r = draw64(int(stream), np.arange(first, first + count))
    entry = ((r >> _HALF) * np.uint64(len(alias)) >> _HALF).astype(np.int64)
    return np.asarray(np.where((r & _LOW) < alias[entry, 0], entry, alias[entry, 1]))
