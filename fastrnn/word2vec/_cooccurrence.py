"""The co-occurrence matrix of a corpus, in a file that is mapped into memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fastrnn import _core

from .corpus import Corpus

Entries = npt.NDArray[np.int32]  # [N, 3]: row, column <= row, and the bits of a float32, the count

PLACE = 16  # bytes that the kernel keeps for each word of the corpus whose row is counted


def count(
    corpus: Corpus,
    words: npt.NDArray[np.int32],
    counts: npt.NDArray[np.int64],
    window: int,
    threads: int,
    memory: int,
) -> Entries:
    """Sum 1/d over all pairs of words that are d <= `window` apart in a sentence.

    Parameters
    ----------
    corpus : Corpus
    words : ndarray of int32, shape (types,)
        The word of each type or -1; windows close up where such a type stood.
    counts : ndarray of int64, shape (V,)
        How often each word occurs.
    window, threads : int
    memory : int
        Bytes for the places of words. Rows are counted in groups that fit, with a pass over the corpus
        for each; a row that does not fit is a group of its own.

    Returns
    -------
    ndarray of int32, shape (N, 3)
        Entries of the lower triangle by rows, read from a temporary file that is removed with them.
    """
    offsets = np.ascontiguousarray(corpus.offsets, np.int64)
    total = 0
    with tempfile.TemporaryFile() as file:
        for first, last in groups(counts, max(1, memory // PLACE)):
            found = _core.cooccurrences(corpus.ids, words, offsets, len(counts), first, last, window, threads)
            total += len(found)
            file.write(found.data)
        file.flush()
        if not total:
            return np.zeros((0, 3), np.int32)
        mapped: Entries = np.memmap(file, np.int32, "r", shape=(total, 3))
        return mapped


def groups(counts: npt.NDArray[np.int64], places: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows whose words occur at most so often together, or single rows."""
    ends = np.cumsum(counts)
    first = 0
    while first < len(counts):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + places, side="right")))
        yield first, last
        first = last
