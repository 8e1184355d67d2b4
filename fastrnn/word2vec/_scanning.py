"""Vocabulary and tables in steps of their own, as gensim has them beside `build_vocab`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from fastrnn import _check

from . import _arguments as arguments
from . import vocabulary
from ._building import Building


class Scanning(Building):
    """The part of `Word2Vec` that builds a vocabulary step by step."""

    raw_vocab: dict[Any, int]

    def scan_vocab(
        self,
        corpus_iterable: Any = None,
        corpus_file: str | os.PathLike[str] | None = None,
        progress_per: int = 10000,
        workers: int | None = None,
        trim_rule: vocabulary.TrimRule | None = None,
    ) -> tuple[int, int]:
        """Count the types of a corpus into `raw_vocab`.

        Parameters
        ----------
        corpus_iterable, corpus_file
            As `sentences` and `corpus_file` of the class.
        progress_per
            Decides nothing, as in `build_vocab`.
        workers : int, optional
            Threads, in place of those of the model.
        trim_rule
            Decides nothing: types are not pruned while they are counted. `prepare_vocab` takes one.

        Returns
        -------
        words, sentences : int
        """
        source = arguments.one_source(("corpus_iterable", corpus_iterable), ("corpus_file", corpus_file))
        arguments.optional_callable("trim_rule", trim_rule)
        corpus = self._read(source, None if workers is None else _check.integer("workers", workers, 1))
        self.raw_vocab = dict(zip(corpus.types, corpus.counts.tolist(), strict=True))
        return corpus.tokens, len(corpus)

    def prepare_vocab(
        self,
        update: bool = False,
        keep_raw_vocab: bool = False,
        trim_rule: vocabulary.TrimRule | None = None,
        min_count: int | None = None,
        sample: float | None = None,
        dry_run: bool = False,
    ) -> dict[str, int]:
        """Choose the words of `raw_vocab`, and make the tables.

        Parameters
        ----------
        update, keep_raw_vocab, trim_rule
            As in `build_vocab`.
        min_count, sample : optional
            In place of those of the model, from now on.
        dry_run : bool
            Only report: the model stays as it is.

        Returns
        -------
        dict of str to int
            ``drop_unique`` types left out, ``num_retained_words`` that are not, ``retain_total`` their
            occurrences; ``downsample_unique`` words that subsampling thins out, and ``downsample_total``
            occurrences that it is expected to leave.

        Raises
        ------
        RuntimeError
            Before `scan_vocab`, and where no word reaches `min_count`.
        """
        raw = self.raw_vocab
        if not raw:
            raise RuntimeError("raw_vocab: expected counts of types, got none; call scan_vocab first")
        before = self.min_count, self.sample, self.effective_min_count
        self.min_count = self.min_count if min_count is None else _check.integer("min_count", min_count, 0)
        self.sample = self.sample if sample is None else _check.real("sample", sample)
        try:
            found = np.fromiter(raw.values(), np.int64, len(raw))
            words, counts = self._choose(list(raw), found, update, False, trim_rule)
            total = int(counts.sum())
            kept = vocabulary.keep_probability(counts, self.sample, total)
            if not dry_run:
                self._take_words(words, counts, update)
        finally:
            if dry_run:
                self.min_count, self.sample, self.effective_min_count = before
        if not dry_run and not keep_raw_vocab:
            self.raw_vocab = {}
        return {
            "drop_unique": len(raw) - len(counts),
            "retain_total": total,
            "downsample_unique": int((kept < 1).sum()),
            "downsample_total": int(kept @ counts),
            "num_retained_words": len(counts),
        }

    def prepare_weights(self, update: bool = False) -> None:
        """Begin with new vectors; with `update` there is nothing to do, as `prepare_vocab` has added rows."""
        if not len(self.wv):
            raise RuntimeError("expected a vocabulary, got none; call build_vocab first")
        if not update:
            self._make_tables(0)

    @property
    def cum_table(self) -> npt.NDArray[np.uint32]:
        """What gensim draws noise words from, made from the counts: cumulative, the last being 2**31 - 1."""
        if getattr(self, "alias", None) is None:
            raise AttributeError("cum_table: expected a vocabulary and negative > 0, got a model without")
        ends = np.cumsum(np.maximum(self._counts, 1).astype(np.float64) ** self.ns_exponent)
        table: npt.NDArray[np.uint32] = np.round(ends / ends[-1] * (2**31 - 1)).astype(np.uint32)
        return table
