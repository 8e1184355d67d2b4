"""KeyedVectors: nearest rows against NumPy's batched product with argpartition, and files against gensim.

Both sides answer the same; gensim has no batches, so it is asked query by query.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Paired
from paired import OURS, Contender, Result, compare

from fastrnn import KeyedVectors

ROWS, SIZE, TOPN = 70_000, 100, 10
QUERIES = (1, 10, 100, 1000)


@pytest.fixture(scope="module")
def kv() -> KeyedVectors:
    """As many vectors as 100 MB of text give."""
    made = KeyedVectors(SIZE)
    rows = np.random.default_rng(0).standard_normal((ROWS, SIZE)).astype(np.float32)
    made.add_vectors([f"word{i}" for i in range(ROWS)], rows)
    made.fill_norms()
    return made


def numpy_nearest(unit: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of `unit` with the largest product, best first, and the products."""
    scores = queries @ unit.T
    best = np.argpartition(scores, ROWS - TOPN, axis=1)[:, ROWS - TOPN :]
    found = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-found, axis=1)
    return np.take_along_axis(best, order, axis=1), np.take_along_axis(found, order, axis=1)


def measure_nearest(kv: KeyedVectors, count: int, once: bool) -> Result:
    """Vectors in, the nearest out: with us as lists of keys and cosines, which takes some time too."""
    queries = np.random.default_rng(1).standard_normal((count, SIZE)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    unit = kv.get_normed_vectors()

    def ours() -> Any:
        return kv.similar_by_vector(queries, TOPN)

    def numpy() -> Any:
        return numpy_nearest(unit, queries)

    contenders = {
        OURS: Contender(ours, lambda: {"cosines": np.float32([[s for _, s in row] for row in ours()])}),
        "numpy": Contender(numpy, lambda: {"cosines": numpy()[1]}),
    }
    return compare(contenders, flops=2.0 * count * ROWS * SIZE, once=once)


def measure_file(kv: KeyedVectors, path: Path, what: str, once: bool) -> Result:
    """A binary file of 28 MB, in the page cache."""
    other = kv.to_gensim()
    name = str(path / "vectors.bin")

    def load(cls: Any) -> Any:
        return cls.load_word2vec_format(name, binary=True)

    def contender(cls: Any, vectors: Any) -> Contender:
        def save() -> None:
            vectors.save_word2vec_format(name, binary=True)

        def answer() -> dict[str, np.ndarray]:
            save()
            return {"vectors": load(cls).vectors}

        return Contender(save if what == "save" else lambda: load(cls), answer)

    contenders = {OURS: contender(KeyedVectors, kv), "gensim": contender(type(other), other)}
    return compare(contenders, once=once)


@pytest.mark.parametrize("contender", [OURS, "numpy"])
@pytest.mark.parametrize("count", QUERIES)
def test_nearest(kv: KeyedVectors, paired: Paired, once: bool, count: int, contender: str) -> None:
    paired(f"nearest: {count} queries", contender, lambda: measure_nearest(kv, count, once))


@pytest.mark.parametrize("contender", [OURS, "gensim"])
@pytest.mark.parametrize("what", ["load", "save"])
def test_binary_file(
    kv: KeyedVectors, paired: Paired, once: bool, tmp_path: Path, what: str, contender: str
) -> None:
    try:
        importlib.import_module("gensim")
    except ImportError:
        pytest.skip("gensim is not installed")
    paired(f"binary: {what}", contender, lambda: measure_file(kv, tmp_path, what, once))
