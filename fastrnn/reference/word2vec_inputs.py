"""Inputs that are rows or means of rows. Mirror of ``csrc/kernels/word2vec_inputs.h``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._types import Array, Tokens


@dataclass
class RowLists:
    """List i is ``rows[offsets[i]:offsets[i + 1]]``."""

    offsets: Tokens
    rows: Tokens

    def __getitem__(self, i: int) -> Tokens:
        return self.rows[self.offsets[i] : self.offsets[i + 1]]


@dataclass
class Inputs:
    """Rows of ``tables["input"]``, then those of ``tables["more"]``; a word may be the mean of several.

    Attributes
    ----------
    locks, more_locks : ndarray
        Row r of a table has ``locks[r % len(locks)]``.
    bags : RowLists or None
        The rows of each word.
    """

    tables: dict[str, Array]
    locks: Array
    more_locks: Array
    bags: RowLists | None

    def rows(self, i: int) -> Tokens:
        """The rows whose mean is input i."""
        own = self.bags is None or i >= len(self.tables["input"])
        return np.array([i]) if own or self.bags is None else self.bags[i]

    def compose(self, i: int) -> Array:
        """Input i: a view of its row, or a mean of its own."""
        rows = self.rows(i)
        if len(rows) == 1:
            return self._row(rows[0])
        return np.asarray(sum(self._row(r) for r in rows) / len(rows))

    def settle(self, i: int, now: Array, before: Array) -> None:
        """Add what has changed in a mean to its rows."""
        rows = self.rows(i)
        if len(rows) > 1 and self.lock(i) > 0:
            for r in rows:
                self._row(r)[:] += self._lock(r) / self.lock(i) * (now - before)

    def lock(self, i: int) -> float:
        """The factor on updates of input i."""
        return float(np.mean([self._lock(r) for r in self.rows(i)]))

    def _row(self, r: int) -> Array:
        words = len(self.tables["input"])
        return np.asarray(self.tables["input"][r] if r < words else self.tables["more"][r - words])

    def _lock(self, r: int) -> float:
        words = len(self.tables["input"])
        locks, at = (self.locks, r) if r < words else (self.more_locks, r - words)
        return float(locks[at % len(locks)])
