"""Word2Vec in many processes: each trains on its part of the corpus, and rows are exchanged now and then.

A row is exchanged the more often, the more often its word occurs: in round r the first ``hot * 2**k`` rows by
frequency, where 2**k is the largest power of two that divides r. By Zipf's law every row is then exchanged
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

_MANY = 48  # occurrences after which a row has learned what there is
_PIECE = 1 << 14  # rows of one exchange: bounds the memory of its buffer


def train_word2vec(
    model: Word2Vec,
    corpus: Any,
    *,
    epochs: int,
    group: Group | None = None,
    every: int = 1 << 14,
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
        Words between two rounds, in each process; rounded up to whole slices of 512. Small vocabularies want
        less: a row should change little between two exchanges.
    hot : int
        Rows that are exchanged in every round; twice as many in every second, and so on.
    **training
        As ``Word2Vec.train`` takes them: start_alpha, end_alpha, compute_loss, callbacks, ...

    Returns
    -------
    centres, words : int
        As of ``Word2Vec.train``, of all processes together.

    Raises
    ------
    TypeError
        The model is not a plain `Word2Vec`: n-grams of FastText and documents are not exchanged.
    ValueError
        The processes have other models, vocabularies or corpora.
    PeerError
        A process was lost.

    Notes
    -----
    What a row has learned in each process since the last exchange is added up, as threads that update one
    table do (Hogwild), where its word has hardly occurred since; where it has occurred 48 times or more, the
    mean is taken, and in between something between. The mean alone, as in the paper, makes N times fewer
    steps, and the sum alone diverges: see ``docs/distributed.md``.
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
        self.group, self.processes, self.hot = group, group.size, hot
        self.every = -(-every // _core.SLICE) * _core.SLICE
        tables = model.tables()
        counts = np.asarray(model._counts)
        self._rows: list[tuple[Array, Array, Array]] = [(tables.input.rows, *self._order(counts, tokens))]
        if tables.output is not None:
            self._rows.append((tables.output.rows, *self._order(counts, tokens)))
        if tables.nodes is not None and model.paths is not None:
            found = self._order(_node_counts(model.paths, counts), tokens)
            self._rows.append((tables.nodes.rows, *found))
        self._compare(model, tokens)
        for rows, *_ in self._rows:
            rows[:] = group.broadcast(np.ascontiguousarray(rows))
        self._base = [rows.copy() for rows, *_ in self._rows]

    def _order(self, counts: Array, tokens: int) -> tuple[Array, Array]:
        """Rows by frequency, the most frequent first, and by what their sums are divided.

        A row that occurs u times in each process between two exchanges: 1 for small u, where updates hardly
        see each other, the number of processes for large u, where each has learned the same.
        """
        order: Array = np.argsort(-counts, kind="stable")
        between = self.every * np.maximum(1.0, np.arange(1, len(order) + 1) / self.hot)
        u = counts[order] / max(1, tokens) * between
        damping = 1 + (self.processes - 1) * np.minimum(1.0, u / _MANY)
        return order, damping.astype(np.float32)

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
        for (rows, order, damping), base in zip(self._rows, self._base, strict=True):
            count = len(rows) if last else min(len(rows), self.hot * (self._round & -self._round))
            for first in range(0, count, _PIECE):
                piece = slice(first, min(count, first + _PIECE))
                self._add(rows, base, order[piece], damping[piece])

    def _add(self, rows: Array, base: Array, chosen: Array, damping: Array) -> None:
        learned = self.group.sum(rows[chosen] - base[chosen])
        learned /= damping[:, None]
        learned += base[chosen]
        base[chosen] = rows[chosen] = learned


def _node_counts(paths: Sequence[Array], counts: Array) -> Array:
    """How often a node of the Huffman tree is on the path of a word."""
    offsets, nodes = paths[0], paths[1]
    return np.bincount(nodes, np.repeat(counts, np.diff(offsets)), minlength=len(counts) - 1)
