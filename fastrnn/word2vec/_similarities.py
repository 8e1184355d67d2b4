"""Means, cosines and distances of keys."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fastrnn import _check

from ._store import KEY_TYPES, Store
from ._unknown_key import UnknownKey

if TYPE_CHECKING:
    from fastrnn._typing import Array


def unit(vectors: Array) -> Array:
    """`vectors` along the last axis at length 1; zeros stay."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return cast("Array", vectors / np.where(length > 0, length, 1))


class Similarities(Store):
    """What is asked of some vectors, not of all."""

    def get_mean_vector(
        self,
        keys: Any,
        weights: Any = None,
        pre_normalize: bool = True,
        post_normalize: bool = False,
        ignore_missing: bool = True,
    ) -> Array:
        """
        Average the vectors of `keys` (keys or vectors), weighted; the divisor is the sum of absolute weights.

        `pre_normalize` scales the vectors of keys to length 1 before, `post_normalize` the mean after. Keys
        that are not there are left out, or with ``ignore_missing=False`` a KeyError.
        """
        _check.several(keys=keys)
        if len(keys) == 0:
            raise ValueError("keys: expected at least one, got none")
        w = np.ones(len(keys)) if weights is None else np.asarray(weights, np.float64)
        if w.shape != (len(keys),):
            raise ValueError(f"weights: expected shape ({len(keys)},), as there are keys, got {w.shape}")
        mean, total = np.zeros(self.vector_size), 0.0
        for key, weight in zip(keys, w, strict=True):
            if not isinstance(key, np.ndarray) and key not in self:
                if ignore_missing:
                    continue
                raise UnknownKey(key, self.index_to_key)
            vector = key if isinstance(key, np.ndarray) else self.get_vector(key, norm=pre_normalize)
            mean += weight * vector
            total += abs(weight)
        mean = mean / total if total > 0 else mean
        return (unit(mean) if post_normalize else mean).astype(self.vectors.dtype)

    def similarity(self, w1: Any, w2: Any) -> np.floating[Any]:
        """Return the cosine of two keys."""
        return self._cosine(self[w1], self[w2])

    def distance(self, w1: Any, w2: Any) -> np.floating[Any]:
        """Return 1 minus the cosine of two keys."""
        return 1 - self.similarity(w1, w2)

    def n_similarity(self, ws1: Sequence[Any], ws2: Sequence[Any]) -> np.floating[Any]:
        """Return the cosine of the means of two lists of keys, none of them scaled before."""
        _check.several(ws1=ws1, ws2=ws2)
        if not (len(ws1) and len(ws2)):
            raise ZeroDivisionError("ws1, ws2: expected at least one key in each, got none")
        means = [self.get_mean_vector(ws, pre_normalize=False) for ws in (ws1, ws2)]
        return self._cosine(*means)

    def _cosine(self, a: Array, b: Array) -> np.floating[Any]:
        # In float64 and rounded at the end, so that a key has cosine 1 with itself.
        cosine = unit(a.astype(np.float64)) @ unit(b.astype(np.float64))
        return cast("np.floating[Any]", self.vectors.dtype.type(cosine))

    @staticmethod
    def cosine_similarities(vector_1: Array, vectors_all: Array) -> Array:
        """Return the cosines of a vector [D] and each row of [N, D]: [N]."""
        with np.errstate(divide="ignore", invalid="ignore"):
            lengths = np.linalg.norm(vector_1) * np.linalg.norm(vectors_all, axis=1)
            return cast("Array", vectors_all @ vector_1 / lengths)

    def distances(self, word_or_vector: Any, other_words: Sequence[Any] = ()) -> Array:
        """Return 1 minus the cosines of a key or vector and `other_words`, or all keys if there are none."""
        _check.several(other_words=other_words)
        vector = self.get_vector(word_or_vector) if isinstance(word_or_vector, KEY_TYPES) else word_or_vector
        rows = [self.get_index(word) for word in other_words] if len(other_words) else slice(None)
        return 1 - self.cosine_similarities(vector, self.vectors[rows])

    def closer_than(self, key1: Any, key2: Any) -> list[Any]:
        """Return the keys that are closer to `key1` than `key2` is."""
        distances, own = self.distances(key1), self.get_index(key1)
        closer = np.flatnonzero(distances < distances[self.get_index(key2)])
        return [self.index_to_key[i] for i in closer if i != own]

    def words_closer_than(self, word1: Any, word2: Any) -> list[Any]:
        """Do what `closer_than` does: gensim's older name."""
        return self.closer_than(word1, word2)

    def rank(self, key1: Any, key2: Any) -> int:
        """Return the place of `key2` among all keys by distance from `key1`; 1: the nearest."""
        return len(self.closer_than(key1, key2)) + 1

    def most_similar_to_given(self, key1: Any, keys_list: Sequence[Any]) -> Any:
        """Return the one of `keys_list` that is most similar to `key1`."""
        _check.several(keys_list=keys_list)
        return keys_list[int(np.argmax([self.similarity(key1, key) for key in keys_list]))]

    def rank_by_centrality(self, words: Sequence[Any], use_norm: bool = True) -> list[tuple[Any, Any]]:
        """Sort `words` by their cosine with the mean of all: (cosine, word), largest first."""
        _check.several(words=words)
        used = [word for word in words if word in self]
        if not used:
            raise ValueError(f"words: expected at least one that is a key, got {list(words)}")
        if len(used) < len(words):
            missing = [word for word in words if word not in self]
            warnings.warn(f"words: {missing} are no keys and are left out", UserWarning, stacklevel=2)
        vectors = np.vstack([self.get_vector(word, norm=use_norm) for word in used])
        mean = self.get_mean_vector(vectors, post_normalize=True)
        return sorted(zip(vectors @ mean, used, strict=True), reverse=True)

    def doesnt_match(self, words: Sequence[Any]) -> Any:
        """Return the one of `words` that is farthest from the mean of all."""
        return self.rank_by_centrality(words)[-1][1]

    def wmdistance(self, document1: Iterable[Any], document2: Iterable[Any], norm: bool = True) -> float:
        """
        Return Word Mover's Distance of two lists of keys, of vectors at length 1 with `norm` (extra: wmd).

        The least cost of moving the words of one to those of the other, where a step costs its Euclidean
        length: Kusner et al., *From Word Embeddings To Document Distances*, 2015. What is no key is left out;
        infinity if nothing is left of one of them.

        Raises
        ------
        ImportError
            POT, which solves the transport problem, is not installed.
        """
        _check.several(document1=document1, document2=document2)
        try:
            from ot import emd2
        except ImportError:
            raise ImportError("wmdistance: needs POT; pip install 'fastrnn[wmd]'") from None
        counts = [Counter(word for word in document if word in self) for document in (document1, document2)]
        if not all(counts):
            return math.inf
        weights = [np.array(list(c.values()), np.float64) / c.total() for c in counts]
        a, b = (np.stack([self.get_vector(word, norm) for word in c]).astype(np.float64) for c in counts)
        return float(emd2(*weights, np.linalg.norm(a[:, None] - b, axis=-1)))
