"""How a model comes by its words and its tables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastrnn import _check, _core

from . import _arguments as arguments
from . import vocabulary
from ._tables import Table, Tables, initial_vectors
from ._trained_tables import TrainedTables
from .corpus import Corpus
from .keyedvectors import KeyedVectors


class Building(TrainedTables):
    """The part of `Word2Vec` that builds vocabulary and tables."""

    min_count: int
    max_vocab_size: int | None
    max_final_vocab: int | None
    sample: float
    seed: int
    workers: int
    hs: int
    negative: int
    ns_exponent: float
    null_word: int
    sorted_vocab: int
    compat: str
    corpus_count: int
    corpus_total_words: int
    effective_min_count: int = 0  # what the last choice of words has come to
    _reading: dict[str, Any]

    def _read(self, source: Any, workers: int | None = None) -> Corpus:
        threads = min(workers or self.workers, _core.get_num_threads())
        return Corpus.read(source, threads=threads, **self._reading)

    # --- vocabulary

    def build_vocab(
        self,
        corpus_iterable: Any = None,
        corpus_file: str | os.PathLike[str] | None = None,
        update: bool = False,
        progress_per: int = 10000,
        keep_raw_vocab: bool = False,
        trim_rule: vocabulary.TrimRule | None = None,
    ) -> None:
        """Choose the words and make the tables.

        Parameters
        ----------
        corpus_iterable, corpus_file
            As `sentences` and `corpus_file` of the class.
        update : bool
            Keep the vocabulary and what is trained; add the words that are new.
        progress_per : int
            Nothing is reported while a corpus is read, which takes a second for 20 million words.
        keep_raw_vocab : bool
            Keep the counts of all types, as `raw_vocab`.
        trim_rule : callable, optional

        Raises
        ------
        ValueError
            When no word reaches `min_count`.
        """
        source = arguments.one_source(("corpus_iterable", corpus_iterable), ("corpus_file", corpus_file))
        corpus = self._read(source)
        words, counts = self._choose(corpus.types, corpus.counts, update, keep_raw_vocab, trim_rule)
        self.corpus_count = len(corpus)
        self.corpus_total_words = corpus.tokens
        del corpus  # whose types may take as much memory as the words
        self._take_words(words, counts, update)

    def build_vocab_from_freq(
        self,
        word_freq: Mapping[Any, int],
        keep_raw_vocab: bool = False,
        corpus_count: int | None = None,
        trim_rule: vocabulary.TrimRule | None = None,
        update: bool = False,
    ) -> None:
        """Choose the words by given counts; see `build_vocab`."""
        counts = np.array([_check.integer(f"word_freq[{w!r}]", n, 0) for w, n in word_freq.items()], np.int64)
        words, chosen = self._choose(list(word_freq), counts, update, keep_raw_vocab, trim_rule)
        self.corpus_count = corpus_count or 0
        self._take_words(words, chosen, update)

    def _choose(
        self,
        types: Sequence[Any],
        counts: npt.NDArray[np.int64],
        update: bool,
        keep_raw: bool,
        trim_rule: vocabulary.TrimRule | None,
    ) -> tuple[list[Any], npt.NDArray[np.int64]]:
        """Return the words and their counts."""
        if update and not len(self.wv):
            raise RuntimeError(
                "update: expected a vocabulary to add to, got none; call build_vocab without it first"
            )
        chosen = vocabulary.select(
            types,
            counts,
            min_count=self.min_count,
            max_vocab_size=self.max_vocab_size,
            max_final_vocab=self.max_final_vocab,
            trim_rule=trim_rule,
            sorted_vocab=bool(self.sorted_vocab),
        )
        self.effective_min_count = chosen.min_count
        if not len(chosen.chosen) and not update:
            most = f"the most frequent of {len(types)} has {counts.max()}" if len(counts) else "there is none"
            raise vocabulary.NoWords(
                f"min_count: expected a word that occurs {chosen.min_count} times, but {most}"
            )
        if keep_raw:
            self.raw_vocab = dict(zip(types, counts.tolist(), strict=True))
        return [types[i] for i in chosen.chosen], counts[chosen.chosen]

    def _take_words(self, words: list[Any], counts: npt.NDArray[np.int64], update: bool) -> None:
        (self._add_words if update else self._set_words)(words, counts)

    def _set_words(self, words: list[Any], counts: npt.NDArray[np.int64]) -> None:
        if self.null_word and "\0" not in words:
            words, counts = [*words, "\0"], np.append(counts, 1)
        self._name_words(words, counts)
        self._make_tables(0)

    def _name_words(self, words: list[Any], counts: npt.NDArray[np.int64]) -> None:
        self.wv = self._new_vectors()
        self._counts = np.zeros(0, np.int64)
        self.keep_thresholds = np.zeros(0, np.uint32)
        self._append(words)
        self._count(words, counts)

    def _add_words(self, words: list[Any], counts: npt.NDArray[np.int64]) -> None:
        before = len(self.wv)
        self.tables()  # while rows and names go together: those of a file are read now
        self._append([w for w in words if w not in self.wv.key_to_index])
        self._count(words, counts)
        self._make_tables(before)

    def _append(self, words: list[Any]) -> None:
        first = len(self.wv.index_to_key)
        self.wv.index_to_key = [*self.wv.index_to_key, *words] if first else list(words)
        self.wv.key_to_index.update(zip(words, range(first, first + len(words)), strict=True))
        self.wv.allocate_vecattrs()

    def _count(self, words: list[Any], new: npt.NDArray[np.int64]) -> None:
        """Add counts, and see how often these words are to be kept."""
        total = len(self.wv.index_to_key)
        at = np.fromiter((self.wv.key_to_index[w] for w in words), np.int64, len(words))
        probability = vocabulary.keep_probability(new, self.sample, int(new.sum()))
        self._counts = np.concatenate([self._counts, np.zeros(total - len(self._counts), np.int64)])
        self._counts[at] += new
        grown = np.full(total, 2**32 - 1, np.uint32)
        grown[: len(self.keep_thresholds)] = self.keep_thresholds
        grown[at] = vocabulary.keep_thresholds(probability)
        self.keep_thresholds = grown
        self._derive()

    def _make_tables(self, before: int) -> None:
        """Vectors of all words but the first `before`, which stay."""
        _core.trim_memory()  # of reading: 7 MB of 88 for 68,000 words of 220,000 types (bench_word2vec.py)
        count = len(self.wv.index_to_key)
        old = self.tables() if before else None
        vectors = initial_vectors(count, self.vector_size, self.seed, self.compat)
        output = Table.zeros(count, self.layer1_size) if self.negative else None
        nodes = Table.zeros(count, self.layer1_size) if self.hs else None
        if old is not None:
            for table, known in ((vectors, old.input), (output, old.output), (nodes, old.nodes)):
                if table is not None and known is not None:
                    table.rows[: len(known.rows)] = known.rows
        more = self._make_more(None if old is None else old.more)
        self._take_tables(Tables(vectors, output, nodes, more), before)

    def _derive(self) -> None:
        """Make what follows from the counts."""
        self.alias = vocabulary.alias_table(self._counts, self.ns_exponent) if self.negative else None
        self.paths = _core.huffman_paths(np.maximum(self._counts, 1)) if self.hs else None
        self.wv.paths = self.paths

    # --- what differs between the models of the family

    def _new_vectors(self) -> KeyedVectors:
        return KeyedVectors(self.vector_size)

    def _make_more(self, old: Table | None) -> Table | None:
        """Make the table beside that of the words, or keep the old one."""
        return old
