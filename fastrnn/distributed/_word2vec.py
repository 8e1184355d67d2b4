"""Word2Vec in many processes: each trains on its part of the corpus, and rows are averaged now and then.

A row is averaged the more often, the more often its word occurs: in round r the first ``hot * 2**k`` rows by
frequency, where 2**k is the largest power of two that divides r. By Zipf's law every row is then averaged
after about as many of its own updates.

References
----------
Ji, Satish, Li, Dubey: Parallelizing Word2Vec in Shared and Distributed Memory. arXiv:1604.04661, III.D.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _check, _core
from fastrnn.word2vec.training import Whole

from ._connect import group_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastrnn._typing import Array
    from fastrnn.word2vec import Word2Vec

    from ._group import Group

_PIECE = 1 << 14  # rows of one exchange: bounds the memory of its buffer


def train_word2vec(
    model: Word2Vec,
    corpus: Any,
    *,
    epochs: int,
    group: Group | None = None,
    every: int = 1 << 16,
    hot: int = 1 << 10,
    **training: Any,
) -> tuple[int, int]:
    """Train word vectors, each process on a part of the corpus.

    All processes read the same corpus, build the same vocabulary, and have equal vectors when this returns.
    The model needs a second copy of its tables in memory.

    Parameters
    ----------
    model : Word2Vec
        With a vocabulary, built from the whole corpus.
    corpus
        What ``Word2Vec.train`` takes: the whole, the same on all processes.
    epochs : int
    group : Group, optional
        By default `connect` makes one.
    every : int
        Words between two rounds, in each process.
    hot : int
        Rows that are averaged in every round; twice as many in every second, and so on.
    **training
        As ``Word2Vec.train`` takes them: start_alpha, end_alpha, compute_loss, callbacks, ...

    Returns
    -------
    centres, words : int
        As of ``Word2Vec.train``, of all processes together.

    Raises
    ------
    TypeError
        The model is not a plain `Word2Vec`: n-grams of FastText and documents are not averaged.
    ValueError
        The processes have other models, vocabularies or corpora.
    PeerError
        A process was lost.

    Notes
    -----
    What a row has learned in the processes since it was last averaged is added up and divided by the number
    of processes in which it has changed: a rare word, seen in one of them, keeps all of it.
    """
    from fastrnn.word2vec import Word2Vec

    if type(model) is not Word2Vec:
        raise TypeError(f"model: expected a Word2Vec, got {_check.describe(model)}")
    every, hot = _check.integer("every", every, 1), _check.integer("hot", hot, 1)
    if not len(model.wv):
        raise RuntimeError("expected a vocabulary, got none; call build_vocab first")
    read = model._read(corpus)
    model.part = Averaging(group_of(group), model, read.tokens, every, hot)
    try:
        return model.train(read, epochs=epochs, **training)
    finally:
        del model.part


class Averaging(Whole):
    """The part of one process, and the rounds; see `train_word2vec`."""

    def __init__(self, group: Group, model: Word2Vec, tokens: int, every: int, hot: int) -> None:
        self.group, self.processes, self.every, self.hot = group, group.size, every, hot
        tables = model.tables()
        counts = np.asarray(model._counts)
        self._rows: list[tuple[Array, Array]] = [(tables.input.rows, _order(counts))]
        if tables.output is not None:
            self._rows.append((tables.output.rows, _order(counts)))
        if tables.nodes is not None and model.paths is not None:
            self._rows.append((tables.nodes.rows, _order(_node_counts(model.paths, counts))))
        self._compare(model, tokens)
        for rows, _ in self._rows:
            rows[:] = group.broadcast(np.ascontiguousarray(rows))
        self._base = [rows.copy() for rows, _ in self._rows]

    def _compare(self, model: Word2Vec, tokens: int) -> None:
        """See that all have the same words and options."""
        digest = hashlib.sha256("\n".join(map(str, model.wv.index_to_key)).encode())
        digest.update(np.asarray(model._counts).data)
        names = ("vector_size", "window", "sample", "seed", "sg", "hs", "negative", "cbow_mean")
        names += ("shrink_windows", "shared_negatives", "_epochs_begun")  # type: ignore[assignment]
        digest.update(repr((tokens, self.every, self.hot, [getattr(model, n) for n in names])).encode())
        mine = digest.digest()
        with self.group.together("comparing the models"):
            if self.group.bytes(mine) != mine:
                raise ValueError(
                    f"model: expected words, counts, options and corpus of process 0, got others in process "
                    f"{self.group.rank} of {self.group.size}"
                )

    def begin(self, tokens: int) -> tuple[int, int]:
        """Begin an epoch with the slices of this process."""
        slices, size = -(-tokens // _core.SLICE), self.group.size
        ends = [min(tokens, slices * k // size * _core.SLICE) for k in range(size + 1)]
        ends[-1] = tokens
        most = max(b - a for a, b in pairwise(ends))
        self._rounds, self._round = max(1, -(-most // self.every)), 0
        self._begin, self._last = ends[self.group.rank : self.group.rank + 2]
        return self._begin, self._last

    def _next(self) -> int:
        """Where the next round is."""
        return min(self._begin + (self._round + 1) * self.every, self._last)

    def turn(self, end: int) -> int:
        """Up to the next round at most."""
        return min(end, self._next())

    def reached(self, position: int) -> None:
        """Hold a round where it is time."""
        if position == self._next() and self._round < self._rounds - 1:
            self._hold()

    def finish(self, loss: float, centres: int, words: int) -> tuple[float, int, int]:
        """Hold the rounds that are left, where others had more words; the last one is of all rows."""
        while self._round < self._rounds:
            self._hold()
        total = self.group.sum(np.array([loss, centres, words], np.float64))
        return float(total[0]), int(total[1]), int(total[2])

    def _hold(self) -> None:
        self._round += 1
        last = self._round == self._rounds
        for (rows, order), base in zip(self._rows, self._base, strict=True):
            count = len(rows) if last else min(len(rows), self.hot * (self._round & -self._round))
            for first in range(0, count, _PIECE):
                self._average(rows, base, order[first : min(count, first + _PIECE)])

    def _average(self, rows: Array, base: Array, chosen: Array) -> None:
        before = base[chosen]
        learned = np.empty((len(chosen), rows.shape[1] + 1), rows.dtype)
        np.subtract(rows[chosen], before, out=learned[:, :-1])
        learned[:, -1] = learned[:, :-1].any(axis=1)
        self.group.sum(learned)
        learned[:, :-1] /= np.maximum(learned[:, -1:], 1)
        before += learned[:, :-1]
        base[chosen] = rows[chosen] = before


def _order(counts: Array) -> Array:
    """Rows by frequency, the most frequent first."""
    found: Array = np.argsort(-counts, kind="stable")
    return found


def _node_counts(paths: Sequence[Array], counts: Array) -> Array:
    """How often a node of the Huffman tree is on the path of a word."""
    offsets, nodes = paths[0], paths[1]
    return np.bincount(nodes, np.repeat(counts, np.diff(offsets)), minlength=len(counts) - 1)
