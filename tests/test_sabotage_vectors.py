"""Twins of the tests of word vectors: every check fails when something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import checks
import numpy as np
import pytest
import vectors
from test_nearest import problem
from test_sabotage import fails
from test_vector_fuzz import survives
from tolerances import TABLE

from fastrnn import _core


@pytest.mark.parametrize("wrong", ["order", "index", "score", "missed", "twice", "fewer", "ties"])
def test_nearest(wrong: str, dtype: np.dtype) -> None:
    case = problem((17, 300, 17, 10), dtype)
    index, score = _core.nearest(**case)
    checks.nearest_are_nearest((index, score), case)
    if wrong == "ties":
        case["queries"][:] = case["vectors"][0]  # row 0 and those equal to it are the nearest
        index, score = _core.nearest(**case)
        index[:, [0, 1]] = index[:, [1, 0]]
    elif wrong == "order":
        index[:, [3, 4]], score[:, [3, 4]] = index[:, [4, 3]], score[:, [4, 3]]
    elif wrong == "index":
        index[5, 2] = (set(range(300)) - set(index[5].tolist())).pop()
    elif wrong == "score":
        score[5, 2] += 2 * TABLE["product"].eps * np.finfo(dtype).eps * np.abs(score).max()
    elif wrong == "twice":
        index[5, 2], score[5, 2] = index[5, 1], score[5, 1]
    elif wrong == "fewer":
        index, score = index[:, :-1], score[:, :-1]
    else:
        index, score = np.delete(_core.nearest(**case | {"topn": 11}), 4, axis=2)
        index = index.astype(np.int64)
        score = score.astype(dtype)
    fails(checks.nearest_are_nearest, (index, score), case)


def test_vectors(tmp_path: Path) -> None:
    for what in ("key", "bit", "type", "count"):
        kv = vectors.make()
        vectors.same(kv, vectors.make())
        if what == "key":
            kv.index_to_key[3] = "other"
        elif what == "bit":
            kv.vectors[3, 3] = np.nextafter(kv.vectors[3, 3], np.float32(9))
        elif what == "type":
            kv.vectors = kv.vectors.astype(np.float64)
        else:
            kv.expandos["count"][3] += 1
        fails(vectors.same, kv, vectors.make())

    def raises(error: Exception) -> Callable[[Path], None]:
        def read(path: Path) -> None:
            raise error

        return read

    survives(tmp_path / "v", b"", {"good": raises(ValueError("what is wrong"))})
    fails(survives, tmp_path / "v", b"", {"without a word": raises(ValueError())})
    with pytest.raises(IndexError):
        survives(tmp_path / "v", b"", {"wrong": raises(IndexError("what is wrong"))})
