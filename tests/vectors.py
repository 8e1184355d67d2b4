"""Small KeyedVectors for tests, and the exact queries that they are compared with."""

from __future__ import annotations

import numpy as np
from conftest import SEED

from fastrnn import KeyedVectors

WORDS = ["the", "of", "and", "war", "peace", "king", "queen", "man", "woman", "Grüße", "日本", "naïve", "x_y"]


def make(count: int = 40, size: int = 12, dtype: str = "float32") -> KeyedVectors:
    """Words, then made-up ones; the attribute count falls."""
    kv = KeyedVectors(size, dtype=dtype)
    keys = [*WORDS, *(f"word{i}" for i in range(count))][:count]
    kv.add_vectors(keys, np.random.default_rng(SEED).standard_normal((len(keys), size)).astype(dtype))
    kv.expandos["count"] = np.arange(len(keys), 0, -1) ** 2
    return kv


def units(kv: KeyedVectors) -> np.ndarray:
    """All vectors at length 1, in longdouble."""
    wide = kv.vectors.astype(np.longdouble)
    return wide / np.sqrt((wide**2).sum(axis=1, keepdims=True))


def nearest(kv: KeyedVectors, plus: list[str], minus: list[str], topn: int) -> list[tuple[str, float]]:
    """What most_similar is, by its definition."""
    u, rows = units(kv), [kv.key_to_index[k] for k in plus + minus]
    mean = sum(u[kv.key_to_index[k]] for k in plus) - sum(
        (u[kv.key_to_index[k]] for k in minus), start=0 * u[0]
    )
    cosines = u @ (mean / np.sqrt(mean @ mean))
    order = [i for i in np.argsort(-cosines) if i not in rows][:topn]
    return [(kv.index_to_key[i], float(cosines[i])) for i in order]


def same(a: KeyedVectors, b: KeyedVectors, attributes: bool = True) -> None:
    """Equal keys, bits of vectors, and attributes."""
    assert a.index_to_key == b.index_to_key
    assert a.key_to_index == b.key_to_index
    assert a.vector_size == b.vector_size
    assert a.vectors.dtype == b.vectors.dtype
    assert a.vectors.shape == b.vectors.shape
    assert np.ascontiguousarray(a.vectors).tobytes() == np.ascontiguousarray(b.vectors).tobytes()
    if attributes:
        assert a.expandos.keys() == b.expandos.keys()
        assert all(np.array_equal(a.expandos[name], b.expandos[name]) for name in a.expandos)
