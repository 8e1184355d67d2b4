"""The reference: its gradients against a complex step, and identities that hold for every cell."""

from __future__ import annotations

import checks
import numpy as np
import pytest
from ops import (
    Op,
    make_attention,
    make_convolution,
    make_cross_entropy,
    make_embedding,
    make_linear,
    make_pool,
    op_functions,
)
from recurrent import reference_functions, run_reference
from recurrent_cases import Case, few_units, make_case

from fastrnn import reference
from fastrnn.reference import rng as counter_rng
from fastrnn.reference.testing import complex_step

CELLS = list(reference.CELLS)
KINDS = ("last", "mean", "max")
SHAPES = [(3, 2, 3, 2), (4, 1, 2, 3), (2, 3, 1, 1), (1, 1, 1, 1), (0, 2, 3, 2)]


def cases(rng: np.random.Generator, cell: str, most_layers: int) -> list[Case]:
    """The options of a cell, each on a small shape; the last one has three layers in any case."""
    shapes = [(t, b, i, h + few_units(cell) - 2 if h > 1 else h) for t, b, i, h in SHAPES]
    first, second, *_ = shapes
    return [
        *(make_case(rng, shape, cell=cell, layers=k + 1) for shape in shapes for k in range(most_layers)),
        make_case(rng, first, cell=cell, bias=False),
        make_case(rng, first, cell=cell, state=False),
        make_case(rng, first, cell=cell, vocabulary=4),
        make_case(rng, second, cell=cell, vocabulary=4, layers=2, state=False),
        make_case(rng, (3, 2, 3, 4), cell=cell, layers=3, dropout=0.4),
    ]


def op_cases(rng: np.random.Generator) -> list[Op]:
    """The other operations, each with its options."""
    return [
        make_linear(rng, (3, 2), 4, 5),
        make_linear(rng, (3,), 1, 1, bias=False),
        make_embedding(rng, (3, 4), 5, 2),
        *(make_cross_entropy(rng, (2, 4), 3, 5, bias=bias, mean=bias) for bias in (True, False)),
        make_cross_entropy(rng, (6,), 3, 5, ignored=0.0),
        make_cross_entropy(rng, (3,), 2, 4, ignored=1.0, mean=False),
        make_cross_entropy(rng, (3,), 2, 1),
        make_cross_entropy(rng, (2, 4), 3, 5, masked=0.4),
        *(make_pool(rng, (4, 5, 3), kind, lengths=some) for kind in KINDS for some in (True, False)),
        make_pool(rng, (4, 5, 3), "last", turned=2),
        *(make_convolution(rng, (4, 5, 3), 4, width) for width in (1, 2, 3, 6)),
        make_convolution(rng, (4, 2, 3), 4, 3, lengths=False),
        make_attention(rng, (2, 4, 3, 3, 2)),
        make_attention(rng, (2, 4, 3, 3, 2), scale=0.5, masked=0.4),
        make_attention(rng, (2, 4, 3, 3, 2), additive=True, masked=0.4),
    ]


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_by_complex_step(rng: np.random.Generator, cell: str) -> None:
    for case in cases(rng, cell, 1):  # some have two and three layers; the time grows with the square of them
        checks.gradients_by_complex_step(*reference_functions(case), case.inputs, case.cotangents)


def test_gradients_of_the_operations_by_complex_step(rng: np.random.Generator) -> None:
    for case in op_cases(rng):
        checks.gradients_by_complex_step(*op_functions(case), case.inputs, case.cotangents)


@pytest.mark.parametrize("cell", CELLS)
def test_adjoint(rng: np.random.Generator, cell: str) -> None:
    for case in [*cases(rng, cell, 3), make_case(rng, (20, 3, 5, 7), cell=cell, layers=2, dropout=0.3)]:
        directions = {name: rng.standard_normal(a.shape) for name, a in case.inputs.items()}
        checks.adjoint(*reference_functions(case), case.inputs, case.cotangents, directions)


def test_adjoint_of_the_operations(rng: np.random.Generator) -> None:
    for case in op_cases(rng):
        directions = {name: rng.standard_normal(a.shape) for name, a in case.inputs.items()}
        checks.adjoint(*op_functions(case), case.inputs, case.cotangents, directions)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("cuts", [[0], [1], [5], [2, 3], [1, 2, 3, 4]], ids=str)
def test_chunks_equal_the_whole(rng: np.random.Generator, cell: str, cuts: list[int]) -> None:
    case = make_case(rng, (5, 3, 4, 6), cell=cell)
    checks.chunks_equal_the_whole(case, cuts, run_reference, checks.runs_agree)


@pytest.mark.parametrize("cell", CELLS)
def test_permuting_the_batch_permutes_the_answer(rng: np.random.Generator, cell: str) -> None:
    case = make_case(rng, (5, 4, 4, 6), cell=cell)
    checks.rows_are_independent(case, np.array([2, 0, 3, 1]), run_reference, checks.runs_agree)


@pytest.mark.parametrize("cell", CELLS)
def test_a_row_alone_is_the_row_in_the_batch(rng: np.random.Generator, cell: str) -> None:
    case = make_case(rng, (5, 4, 4, 6), cell=cell)
    checks.rows_are_independent(case, np.array([2]), run_reference, checks.runs_agree)


@pytest.mark.parametrize("cell", CELLS)
def test_a_token_is_its_row_of_the_table(rng: np.random.Generator, cell: str) -> None:
    case = make_case(rng, (4, 3, 2, 5), cell=cell, vocabulary=6)
    checks.tokens_are_rows(case, run_reference)


@pytest.mark.parametrize("cell", CELLS)
def test_dtype_is_kept(rng: np.random.Generator, cell: str) -> None:
    for dtype in ("float32", "float64", "longdouble", "complex64", "complex128"):
        case = make_case(rng, (3, 2, 3, 4), dtype, cell=cell, layers=2, dropout=0.5)
        forward, backward = reference_functions(case)
        found = {**forward(case.inputs), **backward(case.inputs, case.cotangents)}
        assert {a.dtype for a in found.values()} == {np.dtype(dtype)}


def test_philox_is_the_published_one() -> None:
    checks.philox_is_the_published_one(counter_rng.philox)


def test_dropout_mask_depends_on_key_step_row_and_unit_alone(rng: np.random.Generator) -> None:
    checks.mask_depends_on_position_alone(reference.dropout.dropout, rng.standard_normal((6, 5, 23)))


def test_dropout_keeps_the_fraction_it_should() -> None:
    # 10^6 draws: the fraction kept is normal with deviation 1/2000 at most; five of them.
    for p in (0.0, 0.1, 0.5, 0.9):
        kept = reference.dropout.keep_mask((100, 100, 100), p, key=3).mean()
        assert abs(kept - (1 - p)) <= 5 / 2000 if p else kept == 1


def test_sigmoid_is_accurate_in_both_tails(rng: np.random.Generator) -> None:
    x = np.concatenate([np.linspace(-700, 700, 1401), rng.standard_normal(100)])
    wide = 1 / (1 + np.exp(-x.astype(np.longdouble)))
    checks.close(reference.math.sigmoid(x) / wide.astype(np.float64), np.ones_like(x), "forward")
    np.testing.assert_array_equal(reference.math.sigmoid(np.array([-np.inf, np.inf])), [0, 1])


def test_complex_step_is_exact() -> None:
    x = np.array([0.3, -2.0, 0.7])
    ones = np.ones(3)
    for f, derivative in (
        (np.exp, np.exp),
        (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
        (np.square, lambda a: 2 * a),
    ):
        checks.close(complex_step(f, x, ones), derivative(x), "update")


def test_adam_moves_by_the_rate_at_first(rng: np.random.Generator) -> None:
    p, g = np.zeros(50), rng.standard_normal(50)
    want = -0.01 * g / (np.abs(g) + 1e-8)
    reference.optim.adam([p], [g], [np.zeros(50)], [np.zeros(50)], 1, lr=0.01)
    checks.close(p, want, "update")
    assert not g.any()


def test_momentum_sums_a_geometric_series() -> None:
    p, b = np.zeros(1), np.zeros(1)
    for _ in range(20):
        reference.optim.sgd([p], [np.ones(1)], [b], lr=1.0, momentum=0.5)
    checks.close(b, np.array([2 - 0.5**19]), "update")


def test_clipping_bounds_the_norm(rng: np.random.Generator) -> None:
    grads = [rng.standard_normal(7), rng.standard_normal((2, 3))]
    before = np.sqrt(sum((g**2).sum() for g in grads))
    params = [np.zeros(7), np.zeros((2, 3))]
    norm = reference.optim.sgd(params, grads, None, lr=1.0, max_norm=0.5)
    checks.close(norm, before, "norm")
    checks.close(reference.optim.global_norm(params), 0.5 * before / (before + 1e-6), "norm")
