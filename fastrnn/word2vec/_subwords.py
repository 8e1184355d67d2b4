"""Vectors of words and of character n-grams."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastrnn import _check, _core, checkpoint
from fastrnn._files import Path

from . import _arguments as arguments
from ._store import packed_attributes, unpacked_attributes
from ._tables import Floats, initial_vectors
from .keyedvectors import KeyedVectors

Lists = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]

_KIND = "fastrnn.FastTextKeyedVectors"
_SAVED = ("vector_size", "min_n", "max_n", "bucket", "index_to_key", "vectors_vocab", "vectors_ngrams")
_CHUNK = 1 << 13  # words whose n-grams are averaged together


def ngram_rows(words: Iterable[str], min_n: int, max_n: int, bucket: int) -> Lists:
    """Rows of all n-grams of each word, and where those of each begin.

    The n-grams of ``<word>`` with `min_n` to `max_n` characters, hashed as fastText does: 32-bit FNV-1a of
    the UTF-8 bytes, which count as signed.
    """
    words = list(words)
    if not bucket or max_n < min_n:
        return np.zeros(len(words) + 1, np.int64), np.zeros(0, np.int32)
    return _core.ngrams([str(word).encode() for word in words], min_n, max_n, bucket)


class FastTextKeyedVectors(KeyedVectors):
    """
    KeyedVectors that make up a vector for any word, of its character n-grams.

    Parameters
    ----------
    vector_size : int
    min_n, max_n : int
        Characters in an n-gram, with the ``<`` and ``>`` around the word.
    bucket : int
        Rows that n-grams are hashed to; 0: there are no n-grams.
    count, dtype
        See `KeyedVectors`.

    Attributes
    ----------
    vectors
        [V, vector_size], each the mean of a word's own vector and those of its n-grams.
    vectors_vocab, vectors_ngrams
        What is trained: the own vectors [V, vector_size], and [bucket, vector_size].
    """

    def __init__(
        self, vector_size: int, min_n: int, max_n: int, bucket: int, count: int = 0, dtype: Any = np.float32
    ) -> None:
        super().__init__(vector_size, count, dtype)
        self.min_n = _check.integer("min_n", min_n, 0)
        self.max_n = _check.integer("max_n", max_n, 0)
        self.bucket = _check.integer("bucket", bucket, 0, 2**30)
        self.vectors_vocab: Floats = np.zeros((count, vector_size), dtype)
        self.vectors_ngrams: Floats = np.zeros((0, vector_size), dtype)
        self.vectors_vocab_lockf = self.vectors_ngrams_lockf = np.ones(1, np.float32)
        self._ngrams: Lists = ngram_rows([], 0, 0, 0)

    def __contains__(self, key: object) -> bool:
        """Tell whether there is a vector: with n-grams for every word; ``key_to_index`` has those seen."""
        return super().__contains__(key) or (self.bucket > 0 and isinstance(key, str))

    def get_vector(self, key: Any, norm: bool = False) -> Any:
        """
        Return the vector of a word, or for one that was not seen the mean of its n-grams.

        A word without n-grams has zeros. KeyError for an unseen word where there are no n-grams at all.
        """
        if self.get_index(key, -1) >= 0 or not self.bucket or not isinstance(key, str):
            return super().get_vector(key, norm)
        _, rows = ngram_rows([key], self.min_n, self.max_n, self.bucket)
        mean = np.zeros(self.vector_size, np.float32)
        if len(rows):
            mean = self.vectors_ngrams[rows].sum(axis=0) / np.float32(len(rows))
        length = np.linalg.norm(mean)
        return mean / length if norm and length > 0 else mean

    def get_sentence_vector(self, sentence: Any) -> Any:
        """Return the mean of the vectors of words, each at length 1, as fastText does."""
        return self.get_mean_vector(sentence)

    @property
    def buckets_word(self) -> list[npt.NDArray[np.int32]]:
        """Rows of the n-grams of each word."""
        return np.split(self._ngrams[1], self._ngrams[0][1:-1]) if len(self) else []

    def bags(self) -> Lists:
        """Rows of each word for the kernels: its own, then those of its n-grams, which follow all words."""
        offsets, rows = self._ngrams
        first = offsets + np.arange(len(offsets))
        found = np.empty(first[-1], np.int32)
        own = np.zeros(len(found), bool)
        own[first[:-1]] = True
        found[own], found[~own] = np.arange(len(self)), rows + len(self)
        return first, found

    def recalc_char_ngram_buckets(self) -> None:
        """Find the n-grams of the words anew, after ``index_to_key`` has changed."""
        self._ngrams = ngram_rows(self.index_to_key, self.min_n, self.max_n, self.bucket)

    def adjust_vectors(self) -> None:
        """Compute `vectors` from `vectors_vocab` and `vectors_ngrams`."""
        offsets, rows = self.bags()
        if not self.bucket:
            self.vectors = self.vectors_vocab
        else:
            self.vectors = np.empty_like(self.vectors_vocab, order="C")
            for first in range(0, len(self), _CHUNK):
                part = offsets[first : first + _CHUNK + 1]
                members = rows[part[0] : part[-1]]
                each = np.empty((len(members), self.vector_size), self.vectors.dtype)
                own = members < len(self)
                each[own] = self.vectors_vocab[members[own]]
                each[~own] = self.vectors_ngrams[members[~own] - len(self)]
                sums = np.add.reduceat(each, part[:-1] - part[0], axis=0)
                self.vectors[first : first + len(sums)] = sums / np.diff(part)[:, None]
        self.norms = None

    def resize_vectors(self, seed: int = 0) -> None:
        """Make as many vectors as there are keys and buckets; new ones are random, see `KeyedVectors`."""
        for name, count, own in (("vocab", len(self.index_to_key), seed), ("ngrams", self.bucket, seed + 1)):
            old = getattr(self, f"vectors_{name}")
            new = initial_vectors(count, self.vector_size, own, "gensim").rows.astype(self.vectors.dtype)
            new[: len(old)] = old[:count]
            setattr(self, f"vectors_{name}", new)
        self.allocate_vecattrs()
        self.recalc_char_ngram_buckets()
        self.adjust_vectors()

    @classmethod
    def from_gensim(cls, other: Any) -> FastTextKeyedVectors:
        """
        Copy gensim's FastTextKeyedVectors (or the ``wv`` of a FastText): words, n-grams and attributes.

        Raises
        ------
        TypeError
            They have no n-grams: `KeyedVectors.from_gensim` takes them.
        """
        other = getattr(other, "wv", other)
        kv = super().from_gensim(other)
        kv.vectors_vocab, kv.vectors_ngrams = np.array(other.vectors_vocab), np.array(other.vectors_ngrams)
        kv.recalc_char_ngram_buckets()
        return kv

    @classmethod
    def _empty_like(cls, other: Any) -> FastTextKeyedVectors:
        if not hasattr(other, "vectors_ngrams"):
            raise TypeError(
                f"other: expected gensim's FastTextKeyedVectors, got {_check.describe(other)}; "
                "use KeyedVectors.from_gensim"
            )
        return cls(other.vector_size, other.min_n, other.max_n, other.bucket, dtype=other.vectors.dtype)

    def to_gensim(self) -> Any:
        """Copy into gensim's FastTextKeyedVectors; gensim must be installed."""
        other = super().to_gensim()
        other.vectors_vocab, other.vectors_ngrams = (
            np.array(self.vectors_vocab),
            np.array(self.vectors_ngrams),
        )
        other.recalc_char_ngram_buckets()
        return other

    def _empty_gensim(self) -> Any:
        from gensim.models.fasttext import FastTextKeyedVectors as Theirs

        return Theirs(self.vector_size, self.min_n, self.max_n, self.bucket, dtype=self.vectors.dtype)

    def save(
        self, fname: Path, separately: Any = None, sep_limit: int = 10 * 1024**2, **options: Any
    ) -> None:
        """Write keys and the vectors of words and n-grams into a file of fastrnn's own, without pickle.

        `separately`, `sep_limit` and the other `options` are those of gensim: see `Word2Vec.save`.
        """
        arguments.save_options(separately, sep_limit, **options)
        tree: dict[str, Any] = {name: getattr(self, name) for name in _SAVED}
        if len(self.vectors_vocab) != len(self.index_to_key):
            raise ValueError(
                f"vectors: expected n-grams of all {len(self.index_to_key)} keys, got keys that were added; "
                "use save_word2vec_format"
            )
        tree["attributes"] = packed_attributes(self)
        checkpoint.save(fname, {"kind": _KIND, **tree})

    @classmethod
    def load(cls, fname: Path, mmap: Any = None) -> FastTextKeyedVectors:
        """
        Read what `save` wrote.

        With ``mmap="r"`` what is trained stays in the file, read-only; `vectors` are composed in memory.
        ValueError for another kind of file, or a damaged one.
        """
        tree = checkpoint.load(fname, mapped=arguments.mapped(mmap))
        if not isinstance(tree, dict) or tree.get("kind") != _KIND:
            raise ValueError(
                f"vectors: expected FastTextKeyedVectors in {os.fspath(fname)!r}, got something else"
            )
        kv = cls(tree["vector_size"], tree["min_n"], tree["max_n"], tree["bucket"])
        kv._fill(tree["index_to_key"], tree["vectors_vocab"])
        kv.vectors_vocab, kv.vectors_ngrams = tree["vectors_vocab"], tree["vectors_ngrams"]
        kv.expandos = unpacked_attributes(tree["attributes"])
        kv.recalc_char_ngram_buckets()
        kv.adjust_vectors()
        return kv
