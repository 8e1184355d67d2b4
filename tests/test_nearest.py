"""The nearest rows: the kernel against the reference, ties, NaN, layouts, threads, and its error messages."""

from __future__ import annotations

from typing import Any

import checks
import numpy as np
import pytest
from conftest import SEED
from errors import LAST_AXIS, Case, cast, check

from fastrnn import _core, reference

# Queries, rows, columns, topn: single, around a vector, several panels, blocks of rows; all rows.
SHAPES = [
    (1, 1, 1, 1),
    (3, 7, 5, 3),
    (2, 130, 37, 5),
    (4, 999, 20, 10),
    (8, 65, 3, 64),
    (16, 30, 16, 30),
    (17, 300, 17, 10),
    (65, 700, 33, 7),
    (130, 1100, 9, 600),
    (2, 20, 4, 50),
]


def problem(shape: tuple[int, ...], dtype: np.dtype, seed: int = SEED) -> dict[str, Any]:
    """Queries, rows and scales; some rows are equal."""
    queries, rows, columns, topn = shape
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((rows, columns)).astype(dtype)
    vectors[rows // 2 :: 3] = vectors[0]
    scale = 1 / np.linalg.norm(vectors, axis=1)
    scale[rows // 2 :: 3] = scale[0]
    return {
        "queries": rng.standard_normal((queries, columns)).astype(dtype),
        "vectors": vectors,
        "scale": scale,
        "topn": topn,
    }


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernel(isa: str, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    case = problem(shape, dtype)
    checks.nearest_are_nearest(_core.nearest(**case), case)
    case["scale"] = None
    checks.nearest_are_nearest(_core.nearest(**case), case)


def test_equal_scores_are_in_order_and_nan_comes_last(isa: str, dtype: np.dtype) -> None:
    rng = np.random.default_rng(SEED)
    queries = rng.integers(-2, 3, (19, 4)).astype(dtype)  # small integers: no rounding, many equal scores
    vectors = rng.integers(-1, 2, (333, 4)).astype(dtype)
    vectors[[1, 100, 332]] = np.nan
    vectors[7], vectors[8] = np.inf, -np.inf
    for topn in (1, 40, 333):
        for scale in (None, np.full(333, 0.5, dtype)):
            with np.errstate(invalid="ignore"):
                want = reference.nearest.nearest(queries, vectors, scale, topn)
            got = _core.nearest(queries, vectors, scale, topn)
            checks.same_bits(got[0], want[0])
            checks.same_bits(got[1] + 0, want[1] + 0)  # the sign of a zero is the order of a sum


@pytest.mark.usefixtures("threads")
def test_threads_change_nothing(isa: str, dtype: np.dtype) -> None:
    case = problem((70, 900, 24, 12), dtype)

    def run() -> dict[str, np.ndarray]:
        return dict(zip(("index", "score"), _core.nearest(**case), strict=True))

    checks.threads_change_nothing(run)


def test_instruction_sets_with_fma_agree(isa: str, dtype: np.dtype) -> None:
    case = problem((70, 900, 24, 12), dtype)
    fused = tuple(name for name in _core.available_isas() if name != "sse4")

    def run() -> dict[str, np.ndarray]:
        return dict(zip(("index", "score"), _core.nearest(**case), strict=True))

    checks.isas_agree(run, fused)
    _core.use_isa(isa)


def test_a_query_does_not_depend_on_the_others(isa: str, dtype: np.dtype) -> None:
    case = problem((70, 900, 24, 12), dtype)
    whole = _core.nearest(**case)
    for rows in (slice(0, 1), slice(1, 3), slice(2, 10), slice(3, 20), slice(69, 70)):
        for got, want in zip(_core.nearest(**case | {"queries": case["queries"][rows]}), whole, strict=True):
            checks.same_bits(got, want[rows])


def test_rows_may_be_apart(isa: str, dtype: np.dtype) -> None:
    case = problem((5, 40, 10, 6), dtype)
    want = _core.nearest(**case)
    padded = np.full((40, 16), np.nan, dtype)
    padded[:, :10] = case["vectors"]
    backwards = np.ascontiguousarray(case["queries"][::-1])[::-1]
    got = _core.nearest(**case | {"vectors": padded[:, :10], "queries": backwards})
    for a, b in zip(got, want, strict=True):
        checks.same_bits(a, b)


@pytest.mark.parametrize("shape", [(0, 5, 3, 2), (4, 0, 3, 2), (0, 0, 0, 1)], ids=str)
def test_empty(dtype: np.dtype, shape: tuple[int, ...]) -> None:
    queries, rows, columns, topn = shape
    index, score = _core.nearest(
        np.ones((queries, columns), dtype), np.ones((rows, columns), dtype), None, topn
    )
    assert index.shape == score.shape == (queries, min(topn, rows))


Q, V = np.zeros((3, 5), np.float32), np.zeros((7, 5), np.float32)
ERRORS: dict[str, Case] = {
    "list": (lambda: _core.nearest(Q, [1], None, 1), TypeError, "vectors: expected a NumPy array, got list"),
    "type": (lambda: _core.nearest(Q.astype("f8"), V, None, 1), TypeError, cast("queries")),
    "columns": (
        lambda: _core.nearest(Q[:, :2], V, None, 1),
        ValueError,
        "queries: expected shape (Q, D) with axis 1 = 5, got (3, 2)",
    ),
    "rank": (lambda: _core.nearest(Q, V[0], None, 1), ValueError, "vectors: expected shape (V, D), got (5,)"),
    "scale": (
        lambda: _core.nearest(Q, V, V[0], 1),
        ValueError,
        "scale: expected shape (V,) = (7,), got (5,)",
    ),
    "strided": (
        lambda: _core.nearest(np.zeros((3, 10), "f4")[:, ::2], V, None, 1),
        ValueError,
        f"queries: {LAST_AXIS}",
    ),
    "topn": (lambda: _core.nearest(Q, V, None, 0), ValueError, "topn: expected an int >= 1, got 0"),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)
