"""Nearest neighbours."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from ._nearest import best_of, nearest
from ._similarities import Similarities, unit
from ._store import KEY_TYPES
from ._unknown_key import UnknownKey

if TYPE_CHECKING:
    from fastrnn._typing import Array

Similar = list[tuple[Any, float]]


def as_list(value: Any) -> list[Any]:
    """One key or vector, or several, as a list of them."""
    if value is None:
        return []
    if isinstance(value, KEY_TYPES) or (isinstance(value, np.ndarray) and value.ndim == 1):
        return [value]
    return list(value)


def _pair(item: Any) -> tuple[Any, float]:
    """A key or vector and its weight."""
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise TypeError(f"positive, negative: expected keys, vectors or (key, weight), got {item!r}")
    return item[0], item[1]


class Queries(Similarities):
    """What can be asked of vectors; cosines are those of gensim to rounding."""

    def most_similar(
        self,
        positive: Any = None,
        negative: Any = None,
        topn: int | None = 10,
        clip_start: int = 0,
        clip_end: int | None = None,
        restrict_vocab: int | None = None,
        indexer: Any = None,
    ) -> Any:
        """
        Find the keys nearest to the mean of the `positive` minus the `negative`, all at length 1.

        Parameters
        ----------
        positive, negative
            A key, a vector, or a list of these, where ``(key, weight)`` gives a weight other than 1 or -1.
            Vectors are taken as they are. A list of lists is a batch: each is a query of its own, and
            `negative` is None or as many lists. A batch of 1,000 is one pass over the vectors.
        topn
            How many to return; None: the cosines of all keys.
        clip_start, clip_end, restrict_vocab
            Look among rows ``[clip_start, clip_end)`` only, or ``[0, restrict_vocab)``.
        indexer
            An index with ``most_similar(vector, topn)``, which is asked instead.

        Returns
        -------
        list of (key, float), or array
            Best first, without the keys asked for. With ``topn=None`` the cosines, [V]. For a batch a list of
            such lists, or [Q, V].

        Raises
        ------
        KeyError
            A key is not there; the message has near spellings.
        ValueError
            Nothing is asked for.
        """
        batch = (
            isinstance(positive, list) and len(positive) > 0 and all(isinstance(q, list) for q in positive)
        )
        plus = [as_list(q) for q in positive] if batch else [as_list(positive)]
        minus = [as_list(q) for q in negative or [[]] * len(plus)] if batch else [as_list(negative)]
        if len(plus) != len(minus):
            raise ValueError(f"negative: expected {len(plus)} lists, as positive has, got {len(minus)}")
        if isinstance(topn, Integral) and topn < 1:
            return [[] for _ in plus] if batch else []
        queries, asked = self._query_vectors(plus, minus)
        if indexer is not None and isinstance(topn, int):
            found = [indexer.most_similar(query, topn) for query in queries]
            return found if batch else found[0]
        rows = (
            slice(0, restrict_vocab) if restrict_vocab else slice(clip_start, clip_end or len(self.vectors))
        )
        vectors, norms = self.vectors[rows], self._lengths()[rows]
        if topn is None:
            with np.errstate(divide="ignore", invalid="ignore"):
                scores = queries @ vectors.T / norms
            return scores if batch else scores[0]
        topn = int(topn)
        index, score = nearest(queries, vectors, norms, topn + max(map(len, asked)))
        index += rows.indices(len(self.vectors))[0]
        results = [
            self._without(known, i, s, topn)
            for known, i, s in zip(asked, index.tolist(), score.tolist(), strict=True)
        ]
        return results if batch else results[0]

    def _without(self, asked: set[int], rows: list[int], scores: list[float], topn: int) -> Similar:
        keys = self.index_to_key
        found = [(keys[i], s) for i, s in zip(rows, scores, strict=True) if i not in asked]
        return found[:topn]

    def _query_vectors(self, plus: list[list[Any]], minus: list[list[Any]]) -> tuple[Array, list[set[int]]]:
        """Queries at length 1, [Q, D], and the rows that each asks for."""
        norms = self._lengths()
        dtype = np.result_type(self.vectors.dtype, np.float32)
        rows: list[int] = []  # of all items in a row; -1: a vector
        weights: list[float] = []
        given: dict[int, Any] = {}
        starts: list[int] = []
        for positive, negative in zip(plus, minus, strict=True):
            starts.append(len(rows))
            if not positive and not negative:
                raise ValueError("positive: expected at least one key or vector, got none")
            for sign, items in ((1.0, positive), (-1.0, negative)):
                for item in items:
                    key, weight = (item, sign) if isinstance(item, (*KEY_TYPES, np.ndarray)) else _pair(item)
                    row = -1 if isinstance(key, np.ndarray) else self.get_index(key, -1)
                    if row < 0:
                        given[len(rows)] = self._given(key)
                    rows.append(row)
                    weights.append(weight)
        index = np.array(rows)
        there = index >= 0
        parts = np.zeros((len(rows), self.vector_size))
        with np.errstate(divide="ignore", invalid="ignore"):
            parts[there] = self.vectors[index[there]] / norms[index[there], None]
        for at, vector in given.items():
            parts[at] = vector
        sums = np.add.reduceat(parts * np.array(weights, np.float64)[:, None], starts, axis=0)
        ends = [*starts[1:], len(rows)]
        asked = [set(rows[a:b]) - {-1} for a, b in zip(starts, ends, strict=True)]
        return unit(sums).astype(dtype), asked

    def _given(self, key: Any) -> Array:
        """The vector for an item that has no row: itself, or what a subclass makes up for an unseen word."""
        if not isinstance(key, np.ndarray):
            if key not in self:
                raise UnknownKey(key, self.index_to_key)
            return self.get_vector(key, norm=True)
        if key.shape != (self.vector_size,):
            raise ValueError(f"positive: expected vectors of shape ({self.vector_size},), got {key.shape}")
        return key

    def similar_by_key(self, key: Any, topn: int | None = 10, restrict_vocab: int | None = None) -> Any:
        """Find the keys nearest to a key, or to each of a list of keys; see `most_similar`."""
        positive = [[k] for k in key] if isinstance(key, list) else [key]
        return self.most_similar(positive=positive, topn=topn, restrict_vocab=restrict_vocab)

    def similar_by_word(self, word: Any, topn: int | None = 10, restrict_vocab: int | None = None) -> Any:
        """Do what `similar_by_key` does."""
        return self.similar_by_key(word, topn, restrict_vocab)

    def similar_by_vector(self, vector: Any, topn: int | None = 10, restrict_vocab: int | None = None) -> Any:
        """Find the keys nearest to a vector, or to each row of [Q, vector_size]; see `most_similar`."""
        vector = np.asarray(vector)
        positive = [[row] for row in vector] if vector.ndim == 2 else [vector]
        return self.most_similar(positive=positive, topn=topn, restrict_vocab=restrict_vocab)

    def most_similar_cosmul(
        self,
        positive: Any = None,
        negative: Any = None,
        topn: int | None = 10,
        restrict_vocab: int | None = None,
    ) -> Any:
        """
        Find the keys by products of similarities instead of their sum: 3CosMul.

        Equation (4) of Levy and Goldberg, *Linguistic Regularities in Sparse and Explicit Word
        Representations*, 2014, with cosines moved to [0, 1]. Arguments and result are those of
        `most_similar`, without weights and batches.
        """
        if isinstance(topn, Integral) and topn < 1:
            return []
        plus, minus = as_list(positive), as_list(negative)
        if not plus:
            raise ValueError("positive: expected at least one key or vector, got none")
        asked = {self.get_index(k, -1) for k in plus + minus if not isinstance(k, np.ndarray)}
        vectors, norms = self.vectors[: restrict_vocab or None], self._lengths()[: restrict_vocab or None]

        def product(items: list[Any]) -> Any:
            terms = [((1 + vectors @ self._unit_of(k) / norms) / 2) for k in items]
            return np.prod(terms, axis=0)

        with np.errstate(divide="ignore", invalid="ignore"):
            scores = product(plus) / (product(minus) + 0.000001)
        if not topn:
            return scores
        found = best_of(scores, int(topn) + len(asked))
        return self._without(asked, found.tolist(), scores[found].tolist(), int(topn))

    def _unit_of(self, key: Any) -> Array:
        return key if isinstance(key, np.ndarray) else self.get_vector(key, norm=True)

    def relative_cosine_similarity(self, wa: Any, wb: Any, topn: int = 10) -> float:
        """
        Return the cosine of `wa` and `wb` over the sum of the cosines of the `topn` nearest to `wa`.

        Leeuwenberg et al., *A Minimally Supervised Approach for Synonym Extraction with Word Embeddings*,
        2016.
        """
        similar = self.similar_by_key(wa, topn)
        if not similar:
            raise ValueError("topn: expected some keys beside wa, got none")
        return float(self.similarity(wa, wb) / sum(cosine for _, cosine in similar))
