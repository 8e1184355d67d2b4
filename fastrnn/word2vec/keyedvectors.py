"""Vectors by key."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class KeyedVectors:
    """Vectors by key.

    Parameters
    ----------
    vector_size : int
    count : int
        Vectors to make room for.
    dtype : dtype
    """

    def __init__(self, vector_size: int, count: int = 0, dtype: npt.DTypeLike = np.float32) -> None:
        self.vector_size = vector_size
        self.index_to_key: list[Any] = [None] * count
        self.key_to_index: dict[Any, int] = {}
        self.vectors: npt.NDArray[Any] = np.zeros((count, vector_size), dtype)
        self.norms: npt.NDArray[Any] | None = None
        self.vectors_lockf: npt.NDArray[np.float32] = np.ones(1, np.float32)
        self.expandos: dict[str, npt.NDArray[Any]] = {}

    def __len__(self) -> int:
        """The number of keys."""
        return len(self.index_to_key)

    def __contains__(self, key: Any) -> bool:
        """Whether there is a vector for this key."""
        return key in self.key_to_index

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        """The vector of a key, or the matrix of a list of keys."""
        if isinstance(key, list):
            return self.vectors[[self.key_to_index[k] for k in key]]
        vector: npt.NDArray[Any] = self.vectors[self.key_to_index[key]]
        return vector

    def get_vecattr(self, key: Any, attr: str) -> Any:
        """Attribute `attr` of a key."""
        return self.expandos[attr][self.key_to_index[key]]

    def set_vecattr(self, key: Any, attr: str, val: Any) -> None:
        """Set attribute `attr` of a key."""
        known = self.expandos.get(attr)
        if known is None or len(known) < len(self):
            grown = np.zeros(len(self), type(val))
            if known is not None:
                grown[: len(known)] = known
            self.expandos[attr] = grown
        self.expandos[attr][self.key_to_index[key]] = val

    def similarity(self, w1: Any, w2: Any) -> float:
        """Cosine of the angle between two vectors."""
        a, b = self[w1], self[w2]
        return float(a @ b / np.sqrt((a @ a) * (b @ b)))

    def most_similar(self, word: Any, topn: int = 10) -> list[tuple[Any, float]]:
        """Keys whose vectors have the largest cosine with that of `word`."""
        unit = self.vectors / np.linalg.norm(self.vectors, axis=1, keepdims=True)
        scores = unit @ unit[self.key_to_index[word]]
        order = [i for i in np.argsort(-scores) if self.index_to_key[i] != word]
        return [(self.index_to_key[i], float(scores[i])) for i in order[:topn]]
