"""Skip-gram and CBOW over a corpus, on one thread. Mirror of ``csrc/kernels/word2vec_{train,blocks}.h``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from . import word2vec, word2vec_inputs, word2vec_windows
from ._types import Array, Tokens

SLICE = 512  # positions with one learning rate
PIECE, PIECES = 128, 4  # positions, and how many such are trained from the same tables
CAUTION = 16
TOGETHER = 2  # most words of a document in one step of PV-DBOW


@dataclass
class Unit:
    """Outputs, rows of `table`, against inputs: each of them (skip-gram), or all as one (CBOW).

    `x` are the inputs where they outlast the unit; `weights` what outputs count, 1 if None.
    """

    inputs: Tokens
    table: str
    rows: Tokens
    labels: Array
    x: list[Array] | None = None
    weights: Array | None = None


@dataclass
class Run:
    """Tables, a corpus, and how to train; the arguments of ``_core.Word2VecRun``.

    `tables` has ``input`` [V, d], and ``output`` [V, d] or ``nodes`` [V - 1, d] or both, and ``more`` [*, d]
    with `bags` or `tags`; they are changed in place.
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
    more_locks: Array = field(default_factory=lambda: np.ones(1))
    bags: word2vec_inputs.RowLists | None = None
    tags: word2vec_inputs.RowLists | None = None
    windows: bool = True
    fixed_outputs: bool = False
    joined: tuple[int, int, int] | None = None  # size of a vector, number of tags, null word
    loss: float = 0.0

    def __post_init__(self) -> None:
        self.inputs = word2vec_inputs.Inputs(self.tables, self.locks, self.more_locks, self.bags)

    def train(self, key: int, rate: float, rate_per_position: float) -> None:
        """One pass over the corpus."""
        pieces = self.pieces() if self.deterministic else 1
        size = SLICE if pieces == 1 else PIECE * pieces
        for first in range(0, len(self.corpus.ids), size):
            lr = float(np.float32(rate + rate_per_position * (first - first % SLICE)))
            if pieces == 1:
                self._stretch(key, first, first + size, lr)
            else:
                self._block(key, first, pieces, lr)

    def pieces(self) -> int:
        """Pieces of a block: a power of 2."""
        if self.joined is not None:
            return 1
        words = len(self.tables["output"]) if "output" in self.tables else len(self.tables["nodes"]) + 1
        pieces = PIECES
        while pieces > 1 and words < 256 * pieces:
            pieces //= 2
        return pieces

    def _stretch(self, key: int, first: int, last: int, rate: float) -> None:
        for unit in self._units(key, first, last):
            self._steps(unit, rate)

    def _block(self, key: int, first: int, pieces: int, rate: float) -> None:
        """Every piece begins with the tables before the block; a row goes along the sum of its changes."""
        before = {name: table.copy() for name, table in self.tables.items()}
        changes: dict[str, list[Array]] = {name: [] for name in before}
        for begin in range(first, first + pieces * PIECE, PIECE):
            self._stretch(key, begin, begin + PIECE, rate)
            for name, table in self.tables.items():
                changes[name].append(table - before[name])
                table[:] = before[name]
        for name, table in self.tables.items():
            count = np.any(changes[name], axis=2).sum(axis=0)
            total = np.sum(changes[name], axis=0)
            table += share_of_changes(total, table, np.maximum(1, count))[:, None] * total

    def _units(self, key: int, first: int, last: int) -> Iterator[Unit]:
        positions, streams = word2vec_windows.kept(self.corpus, key)
        words = self.corpus.types[self.corpus.ids[positions], 0]
        sentence = np.searchsorted(self.corpus.offsets, positions, side="right")
        reach = word2vec_windows.reach(streams[positions], self.window, self.shrink)
        means = _Means(self.inputs, words, self.window)
        inside = (positions >= first) & (positions < last)
        ends = np.searchsorted(
            self.corpus.offsets, [first, min(last, len(self.corpus.ids)) - 1], side="right"
        )
        beside = np.flatnonzero((sentence >= ends[0]) & (sentence <= ends[1]))
        for group in self._together(np.flatnonzero(inside), sentence):
            i = group[0]
            tags = np.zeros(0, int) if self.tags is None else self.tags[sentence[i] - 1]
            if self.joined is not None:
                if len(tags) == self.joined[1]:
                    inputs = np.concatenate([tags, self._padded_window(int(i), words, sentence)])
                    yield from self._units_of(words[group], inputs, streams[positions[i]], None)
                continue
            near = np.arange(max(0, i - reach[i]), min(len(words), i + reach[i] + 1) if self.windows else 0)
            near = near[(near != i) & (sentence[near] == sentence[i])]
            inputs = np.concatenate([words[near], tags])
            x = None
            if self.bags is not None and self.shared:
                means.reach(beside[abs(beside - i) <= self.window])
                x = [means.now[j] for j in near]
            if len(inputs):
                yield from self._units_of(words[group], inputs, streams[positions[i]], x)
        means.leave_all()

    def _together(self, centres: Tokens, sentence: Tokens) -> Iterator[Tokens]:
        """Centres whose outputs are scored in one step: of PV-DBOW some words of a document."""
        most = TOGETHER if not self.windows and not self.cbow and self.shared else 1
        for _, group in itertools.groupby(centres, lambda i: sentence[i]):
            document = np.array(list(group))
            yield from (document[i : i + most] for i in range(0, len(document), most))

    def _padded_window(self, i: int, words: Tokens, sentence: Tokens) -> Tokens:
        """The words on both sides of word i, and the null word where its document has none."""
        assert self.joined is not None
        near = np.array([j for j in range(i - self.window, i + self.window + 1) if j != i])
        at = near.clip(0, len(words) - 1)
        inside = (near == at) & (sentence[at] == sentence[i])
        return np.where(inside, words[at], self.joined[2])

    def _units_of(
        self, words: Tokens, inputs: Tokens, stream: Array, x: list[Array] | None
    ) -> Iterator[Unit]:
        together = self.cbow or self.shared
        parts = [inputs] if together else list(inputs[:, None])
        if "nodes" in self.tables and self.paths is not None:
            offsets, nodes, labels = self.paths
            for word, part in itertools.product(words, parts):
                path = slice(offsets[word], offsets[word + 1])
                yield Unit(part, "nodes", nodes[path], labels[path], x)
        if "output" in self.tables and self.alias is not None:
            for j, part in enumerate(parts):
                drawn = word2vec_windows.negatives(self.alias, stream, self.negative, j * self.negative)
                weights = (drawn[:, None] != words).sum(axis=1)
                drawn, weights = drawn[weights > 0], weights[weights > 0]
                labels = np.repeat([1, 0], [len(words), len(drawn)])
                counts = np.concatenate([np.ones(len(words), int), weights])
                yield Unit(part, "output", np.concatenate([words, drawn]), labels, x, counts)

    def _inputs(self, unit: Unit) -> list[Array]:
        return [self.inputs.compose(i) for i in unit.inputs] if unit.x is None else unit.x

    def _rows(self, unit: Unit) -> int:
        """Rows of all inputs together."""
        return sum(len(self.inputs.rows(i)) for i in unit.inputs)

    def scored(self, unit: Unit, x: list[Array]) -> Array:
        """What outputs are scored against: inputs [m, d], their mean or sum [1, d], or joined [1, m d]."""
        if not self.cbow:
            return np.array(x)
        if self.joined is not None:
            return np.concatenate(x)[None]
        weights = np.array([len(self.inputs.rows(i)) for i in unit.inputs])
        total = weights @ np.array(x)
        return np.asarray(total[None] / (self._rows(unit) if self.mean else 1))

    def _steps(self, unit: Unit, rate: float) -> None:
        """Groups of outputs; each sees what the last has done."""
        group = word2vec.GROUP if self.shared else 1
        in_place = self.shared and not self.cbow
        x = self._inputs(unit)
        before = [row.copy() for row in x]
        one = self.scored(unit, x)
        gradient = np.zeros_like(one)
        for first in range(0, len(unit.rows), group):
            part = slice(first, first + group)
            rows, labels = unit.rows[part], unit.labels[part]
            weights = np.ones(len(rows)) if unit.weights is None else unit.weights[part]
            o = self.tables[unit.table][rows]
            scores = word2vec.score(np.array(x) if in_place else one, o)
            self.loss += float(word2vec.negative_log_likelihood(scores, labels, weights).real)
            g = word2vec.errors(scores, labels, weights * rate)
            if in_place:
                due = self._apply_in_place(unit, x, o, g)
            else:
                dx, due = word2vec.apply(one, o, g)
                gradient += dx
            if not self.fixed_outputs:
                np.add.at(self.tables[unit.table], rows, due)
        if not in_place:
            self._spread(unit, x, gradient)
        if unit.x is None:
            for i, now, old in zip(unit.inputs, x, before, strict=True):
                self.inputs.settle(i, now, old)

    def _apply_in_place(self, unit: Unit, x: list[Array], o: Array, g: Array) -> Array:
        """Update inputs, one after the other: some may be the same. Return what is due to the outputs."""
        due = np.zeros_like(o)
        for i, row, errors in zip(unit.inputs, x, g, strict=True):
            dx, do = word2vec.apply(row[None], o, errors[None])
            due += do
            row += self.inputs.lock(i) * dx[0]
        return due

    def _spread(self, unit: Unit, x: list[Array], dx: Array) -> None:
        """Add to the inputs; of a sum every row gets its share, as in gensim."""
        if self.joined is not None:
            for i, row, part in zip(unit.inputs, x, dx[0].reshape(len(x), -1), strict=True):
                row += self.inputs.lock(i) * part
            return
        share = 1 / self._rows(unit) if self.cbow and not self.mean else 1.0
        for i, row in zip(unit.inputs, x, strict=True):
            row += share * self.inputs.lock(i) * dx[0]


def share_of_changes(total: Array, rows: Array, pieces: Array) -> Array:
    """How far rows go along the sum of the changes of some pieces: from all to 1 / pieces of it."""
    squares = np.sum(total * total, axis=1) / (pieces**2 * np.maximum(1, np.sum(rows * rows, axis=1)))
    q = CAUTION * squares
    return np.asarray((1 + q) / (1 + pieces * q))


class _Means:
    """Means of the words that windows reach, each from the first window to the last."""

    def __init__(self, inputs: word2vec_inputs.Inputs, words: Tokens, window: int) -> None:
        self.inputs, self.words = inputs, words
        self.slots = 1 << (2 * window).bit_length()  # a power of 2 that holds the reach of a window
        self.now: dict[int, Array] = {}
        self.before: dict[int, Array] = {}

    def reach(self, words: Tokens) -> None:
        """Compose what has not been, each in the place of the one that is a ring behind."""
        for j in words:
            if j in self.now:
                continue
            if j - self.slots in self.now:
                self.leave(j - self.slots)
            self.now[j] = self.inputs.compose(self.words[j])
            self.before[j] = self.now[j].copy()

    def leave(self, j: int) -> None:
        self.inputs.settle(self.words[j], self.now.pop(j), self.before.pop(j))

    def leave_all(self) -> None:
        for j in sorted(self.now):
            self.leave(j)
