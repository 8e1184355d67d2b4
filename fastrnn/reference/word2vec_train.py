"""Skip-gram and CBOW over a range of a corpus. Mirror of ``csrc/kernels/word2vec_train.h``, on one thread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from . import word2vec, word2vec_windows
from ._types import Array, Tokens

SLICE = 512  # positions with one learning rate


@dataclass
class Unit:
    """Outputs, rows of `table`, against contexts: each of them (skip-gram), or all as one input (CBOW)."""

    contexts: Tokens
    table: str
    rows: Tokens
    labels: Array


@dataclass
class Run:
    """Tables, a corpus, and how to train; the arguments of ``_core.Word2VecRun``.

    `tables` has ``input`` [V, d], and ``output`` [V, d] or ``nodes`` [V - 1, d] or both; they are changed in
    place.
    """

    tables: dict[str, Array]
    corpus: word2vec_windows.Corpus
    alias: Tokens | None
    paths: tuple[Tokens, Tokens, Array] | None
    locks: Array
    window: int
    negative: int
    cbow: bool
    mean: bool
    shrink: bool
    shared: bool
    deterministic: bool
    loss: float = 0.0

    def train(self, key: int, rate: float, rate_per_position: float) -> None:
        """One pass over the corpus."""
        size = self.block_size() if self.deterministic else SLICE
        for first in range(0, len(self.corpus.ids), size):
            units = list(self._units(key, first, first + size))
            lr = float(np.float32(rate + rate_per_position * (first - first % SLICE)))
            if self.deterministic:
                recorded = [self._errors(unit, lr) for unit in units]
                for unit, g in zip(units, recorded, strict=True):
                    self._update(unit, g)
            else:
                for unit in units:
                    self._steps(unit, lr)

    def block_size(self) -> int:
        """Positions whose errors are formed before their updates: a power of 2."""
        steps = 1 if self.cbow else self.window + 1 if self.shrink else 2 * self.window
        each = (1 + self.negative) * steps
        most = 48 // steps if "nodes" in self.tables else 36 * 64 // each
        size = 1
        while 2 * size <= min(most, SLICE, 12 * len(self.tables["input"]) // each):
            size *= 2
        return size

    def _units(self, key: int, first: int, last: int) -> Iterator[Unit]:
        positions, streams = word2vec_windows.kept(self.corpus, key)
        words = self.corpus.types[self.corpus.ids[positions], 0]
        sentence = np.searchsorted(self.corpus.offsets, positions, side="right")
        reach = word2vec_windows.reach(streams[positions], self.window, self.shrink)
        for i in np.flatnonzero((positions >= first) & (positions < last)):
            near = np.arange(max(0, i - reach[i]), min(len(words), i + reach[i] + 1))
            contexts = words[near[(near != i) & (sentence[near] == sentence[i])]]
            if len(contexts):
                yield from self._units_of(int(words[i]), contexts, streams[positions[i]])

    def _units_of(self, word: int, contexts: Tokens, stream: Array) -> Iterator[Unit]:
        together = self.cbow or self.shared
        parts = [contexts] if together else list(contexts[:, None])
        if "nodes" in self.tables and self.paths is not None:
            offsets, nodes, labels = self.paths
            path = slice(offsets[word], offsets[word + 1])
            for part in parts:
                yield Unit(part, "nodes", nodes[path], labels[path])
        if "output" in self.tables and self.alias is not None:
            for j, part in enumerate(parts):
                drawn = word2vec_windows.negatives(self.alias, stream, self.negative, j * self.negative)
                rows = np.array([word, *drawn[drawn != word]])
                yield Unit(part, "output", rows, np.array([1] + [0] * (len(rows) - 1)))

    def _inputs(self, unit: Unit) -> Array:
        x = self.tables["input"][unit.contexts]
        return x.sum(axis=0, keepdims=True) / (len(x) if self.mean else 1) if self.cbow else x

    def _errors(self, unit: Unit, rate: float) -> Array:
        scores = word2vec.score(self._inputs(unit), self.tables[unit.table][unit.rows])
        self.loss += float(word2vec.negative_log_likelihood(scores, unit.labels).real)
        return word2vec.errors(scores, unit.labels, rate)

    def _steps(self, unit: Unit, rate: float) -> None:
        """Groups of outputs, one after the other: each sees what the last has done."""
        group = word2vec.GROUP if self.shared else 1
        x = self._inputs(unit)
        gradient = np.zeros_like(x)
        for first in range(0, len(unit.rows), group):
            rows = unit.rows[first : first + group]
            labels = unit.labels[first : first + group]
            in_place = self.shared and not self.cbow
            x = self._inputs(unit) if in_place else x
            o = self.tables[unit.table][rows]
            scores = word2vec.score(x, o)
            self.loss += float(word2vec.negative_log_likelihood(scores, labels).real)
            g = word2vec.errors(scores, labels, rate)
            if in_place:
                self._apply_in_place(unit, rows, g)
            else:
                gradient += self._apply(unit, rows, x, g)
        if self.cbow or not self.shared:
            self._spread(unit.contexts, gradient)

    def _update(self, unit: Unit, g: Array) -> None:
        """The same with errors that were formed before."""
        x = self._inputs(unit)
        gradient = np.zeros_like(x)
        for first in range(0, len(unit.rows), word2vec.GROUP):
            part = slice(first, first + word2vec.GROUP)
            if self.cbow:
                gradient += self._apply(unit, unit.rows[part], x, g[:, part])
            else:
                self._apply_in_place(unit, unit.rows[part], g[:, part])
        if self.cbow:
            self._spread(unit.contexts, gradient)

    def _apply(self, unit: Unit, rows: Tokens, x: Array, g: Array) -> Array:
        """Update the outputs; return what is due to the inputs."""
        dx, do = word2vec.apply(x, self.tables[unit.table][rows], g)
        np.add.at(self.tables[unit.table], rows, do)
        return dx

    def _apply_in_place(self, unit: Unit, rows: Tokens, g: Array) -> None:
        """Update contexts and outputs, one context after the other: some may be the same."""
        o = self.tables[unit.table][rows]
        due = np.zeros_like(o)
        for context, errors in zip(unit.contexts, g, strict=True):
            dx, do = word2vec.apply(self.tables["input"][context][None], o, errors[None])
            due += do
            self._spread(np.array([context]), dx)
        np.add.at(self.tables[unit.table], rows, due)

    def _spread(self, contexts: Tokens, dx: Array) -> None:
        """Add to the contexts; of a sum of contexts every one gets its share, as in gensim."""
        share = 1 / len(contexts) if self.cbow and not self.mean else 1.0
        locks = self.locks[contexts % len(self.locks)][:, None]
        np.add.at(self.tables["input"], contexts, share * locks * dx)
