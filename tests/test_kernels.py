"""The kernels against the reference, on every instruction set, in both types, over odd shapes and options."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import checks
import layouts
import numpy as np
import ops
import pytest
import recurrent
from conftest import SEED
from ops import (
    Op,
    make_attention,
    make_convolution,
    make_cross_entropy,
    make_embedding,
    make_linear,
    make_pool,
)
from recurrent_cases import Case, make_case

from fastrnn import _core, reference

CELLS = list(reference.CELLS)
# T, B, I, H: empty, single, one below, at and above the vector, rows past a tile, several chunks of steps.
SHAPES = [
    (0, 2, 3, 4),
    (1, 1, 1, 1),
    (3, 1, 5, 1),
    (3, 2, 1, 15),
    (3, 3, 16, 16),
    (2, 1, 17, 17),
    (2, 5, 15, 31),
    (3, 7, 33, 33),
    (2, 9, 64, 64),
    (3, 6, 65, 65),
    (2, 34, 31, 17),
    (90, 4, 3, 16),
    (7, 13, 20, 130),
    (1, 23, 70, 260),
    (1, 3, 520, 300),
]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"state": False},
    {"vocabulary": 5},
    {"vocabulary": 40},
    {"vocabulary": 1, "bias": False, "state": False},
]


@cache
def case_of(shape: tuple[int, int, int, int], dtype: str, options: tuple[tuple[str, Any], ...]) -> Case:
    """One case, made once for all instruction sets."""
    return make_case(np.random.default_rng(SEED), shape, dtype, **dict(options))


@cache
def expected(shape: tuple[int, int, int, int], dtype: str, options: tuple[tuple[str, Any], ...]) -> ops.Run:
    """What the reference says about it."""
    return recurrent.run_reference(case_of(shape, dtype, options))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_recurrent(isa: str, dtype: np.dtype, cell: str, shape: tuple[int, int, int, int]) -> None:
    key = (shape, dtype.name, (("cell", cell),))
    checks.runs_close(recurrent.run_kernel(case_of(*key)), expected(*key))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("batch_first", [False, True], ids=["time_first", "batch_first"])
@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_options(
    isa: str, dtype: np.dtype, cell: str, batch_first: bool, options: dict[str, Any]
) -> None:
    key = ((4, 3, 7, 19), dtype.name, tuple({"cell": cell, **options}.items()))
    for token_type in ("int32", "int64") if "vocabulary" in options else ("int64",):
        found = recurrent.run_kernel(case_of(*key), batch_first=batch_first, token_type=token_type)
        checks.runs_close(found, expected(*key))


@pytest.mark.parametrize("layout", layouts.ALL)
@pytest.mark.parametrize("vocabulary", [0, 5])
@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_layouts(isa: str, dtype: np.dtype, cell: str, vocabulary: int, layout: str) -> None:
    case = case_of((4, 3, 7, 19), dtype.name, (("cell", cell), ("vocabulary", vocabulary)))
    want = recurrent.run_kernel(case)
    checks.runs_same_bits(recurrent.run_kernel(case, layout=layouts.ALL[layout]), want)
    checks.runs_same_bits(recurrent.run_kernel(case, layout=layouts.ALL[layout], batch_first=True), want)


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_not_wanted_changes_nothing_else(isa: str, dtype: np.dtype, cell: str) -> None:
    case = make_case(np.random.default_rng(SEED), (4, 3, 7, 19), dtype, cell=cell)
    want = recurrent.run_kernel(case)
    names = ("w_ih_l0", "w_hh_l0", "b_ih_l0", "b_hh_l0")
    for frozen in [{name} for name in names] + [set(names), {"x"}, {"x", *names}]:
        got = recurrent.run_kernel(case, frozen=frozen)
        checks.runs_same_bits(
            got, {name: a for name, a in want.items() if name.removeprefix("d ") not in frozen}
        )


@pytest.mark.parametrize("cell", CELLS)
def test_absent_gradients_are_zeros(isa: str, dtype: np.dtype, cell: str) -> None:
    case = make_case(np.random.default_rng(SEED), (4, 3, 7, 19), dtype, cell=cell)
    for names in (["y"], [f"{s}_l0" for s in reference.CELLS[cell].STATES]):
        zeros = {**case.cotangents, **{name: np.zeros_like(case.cotangents[name]) for name in names}}
        absent = {name: a for name, a in case.cotangents.items() if name not in names}
        checks.runs_same_bits(
            recurrent.run_kernel(replace(case, cotangents=absent)),
            recurrent.run_kernel(replace(case, cotangents=zeros)),
        )


@pytest.mark.parametrize("cell", CELLS)
def test_saved_is_used_up(cell: str) -> None:
    case = make_case(np.random.default_rng(SEED), (4, 3, 7, 19), cell=cell)
    w = recurrent.kernel_weights(case.cell, case.inputs)
    x, dy = case.inputs["x"], case.cotangents["y"]
    y, _, saved = _core.recurrent_forward(cell, x, None, w, None, False, True)
    grads = tuple(None if a is None else np.zeros_like(a) for a in w)
    _core.recurrent_backward(saved, x, None, w, None, y, dy, None, grads, None, True)
    with pytest.raises(RuntimeError):
        _core.recurrent_backward(saved, x, None, w, None, y, dy, None, grads, None, True)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_inference_gives_the_bits_of_training(
    isa: str, dtype: np.dtype, cell: str, shape: tuple[int, int, int, int]
) -> None:
    case = case_of(shape, dtype.name, (("cell", cell),))
    w = recurrent.kernel_weights(case.cell, case.inputs)
    state = tuple(case.inputs[f"{s}_l0"] for s in reference.CELLS[cell].STATES)
    y, final, _ = _core.recurrent_forward(cell, case.inputs["x"], None, w, state, False, True)
    y_alone, final_alone, saved = _core.recurrent_forward(
        cell, case.inputs["x"], None, w, state, False, False
    )
    assert saved is None
    assert not y.flags.writeable
    assert not y_alone.flags.writeable
    for got, want in zip((y_alone, *final_alone), (y, *final), strict=True):
        checks.same_bits(got, want)


LINEAR = [(1, 1, 1), (5, 15, 17), (3, 33, 16), (40, 64, 65), (7, 100, 31), (33, 5, 15)]  # N, I, O
CROSS_ENTROPY = [(1, 1, 1), (5, 16, 2), (9, 15, 65), (300, 33, 17)]  # N, I, V
POOL = [(1, 1, 1), (4, 3, 16), (7, 5, 33), (0, 2, 3), (3, 0, 4)]  # T, B, H
ATTENTION = [
    (1, 1, 1, 1, 1),
    (3, 17, 4, 31, 9),
    (5, 16, 2, 16, 33),
    (0, 3, 2, 4, 4),
    (2, 0, 2, 4, 4),
]  # S, T, B, D, E
CONVOLUTION = [
    ((1, 1, 1), 1, 1),
    ((7, 5, 9), 17, 3),
    ((4, 3, 16), 15, 2),
    ((9, 6, 5), 70, 4),
    ((2, 4, 3), 5, 7),
    ((0, 2, 3), 4, 3),
    ((3, 0, 2), 4, 3),
]  # T, B, I; F; W
EMBEDDING = [((1,), 1, 1), ((5, 4), 3, 17), ((200,), 30, 64)]  # tokens, V, I


def op_cases() -> list[Op]:
    """Linear, cross entropy and embedding over odd sizes and all options."""
    rng = np.random.default_rng(SEED)
    return [
        *(make_linear(rng, (n,), i, o) for n, i, o in LINEAR),
        make_linear(rng, (40,), 17, 15, bias=False),
        make_linear(rng, (3, 4), 9, 33),
        make_linear(rng, (6,), 17, 15, bias=False),
        make_linear(rng, (0,), 3, 4),
        make_linear(rng, (0, 5), 3, 4),
        *(make_cross_entropy(rng, (n,), i, v) for n, i, v in CROSS_ENTROPY),
        make_cross_entropy(rng, (5, 3), 20, 1000),
        make_cross_entropy(rng, (5, 3), 7, 15, bias=False),
        make_cross_entropy(rng, (5, 3), 7, 16, mean=False),
        make_cross_entropy(rng, (11,), 7, 31, ignored=0.0, ignore_index=-1),
        make_cross_entropy(rng, (11,), 7, 31, ignored=0.5, ignore_index=3),
        make_cross_entropy(rng, (4,), 7, 31, ignored=1.0),
        make_cross_entropy(rng, (4,), 7, 31, ignored=1.0, mean=False),
        make_cross_entropy(rng, (0, 4), 7, 31, mean=False),
        make_cross_entropy(rng, (5, 3), 7, 31, masked=0.5),
        make_cross_entropy(rng, (11,), 7, 31, masked=0.3, mean=False),
        make_cross_entropy(rng, (5, 3), 7, 31, masked=1.0),
        *(make_embedding(rng, lead, v, i) for lead, v, i in EMBEDDING),
        make_embedding(rng, (0, 3), 5, 4),
        *(
            make_pool(rng, shape, kind, lengths=some, turned=shape[2] // 2, equal=kind == "max")
            for shape in POOL
            for kind in ("last", "mean", "max")
            for some in (True, False)
        ),
        make_pool(rng, (5, 4, 9), "max"),
        *(
            make_convolution(rng, *sizes, lengths=some)  # type: ignore[arg-type]
            for sizes in CONVOLUTION
            for some in (True, False)
        ),
        *(
            make_attention(rng, shape, additive=additive, masked=masked, scale=0.5)
            for shape in ATTENTION
            for additive in (False, True)
            for masked in (None, 0.3, 1.0)
        ),
    ]


@cache
def op_expected(index: int, dtype: str) -> ops.Run:
    """What the reference says about one of them."""
    return ops.run_reference(op_cases()[index].astype(dtype))


OP_IDS = [f"{c.kind}-{k}" for k, c in enumerate(op_cases())]
TOLERANCES = {
    "attention": "product",
    "convolution": "product",
    "cross_entropy": "loss",
    "embedding": "update",
    "linear": "product",
    "pool": "update",
}


@pytest.mark.parametrize("index", range(len(OP_IDS)), ids=OP_IDS)
def test_operations(isa: str, dtype: np.dtype, index: int) -> None:
    case = op_cases()[index].astype(dtype)
    checks.runs_close(ops.run_kernel(case), op_expected(index, dtype.name), TOLERANCES[case.kind], "product")


@pytest.mark.parametrize("layout", layouts.ALL)
@pytest.mark.parametrize("index", range(len(OP_IDS)), ids=OP_IDS)
def test_operation_layouts(dtype: np.dtype, index: int, layout: str) -> None:
    case = op_cases()[index].astype(dtype)
    checks.runs_same_bits(ops.run_kernel(case, layouts.ALL[layout]), ops.run_kernel(case))


DROPOUT_SHAPES = [(3, 2, 5), (1, 1, 1), (0, 2, 3), (4, 3, 16), (2, 5, 33), (6, 17), (2, 3, 64)]


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.999])
@pytest.mark.parametrize("shape", DROPOUT_SHAPES, ids=str)
def test_dropout(
    isa: str, rng: np.random.Generator, dtype: np.dtype, shape: tuple[int, ...], p: float
) -> None:
    x = rng.standard_normal(shape).astype(dtype)
    for key, step in ((0, 0), (2**64 - 1, 2**33), (5, 12)):
        want = reference.dropout.dropout(x, p, key, step)
        checks.same_bits(_core.dropout(x, p, key, step, False), want)
        if x.ndim == 3:
            turned = np.ascontiguousarray(x.swapaxes(0, 1))
            checks.same_bits(_core.dropout(turned, p, key, step, True), want.swapaxes(0, 1))
            checks.same_bits(_core.dropout(turned.swapaxes(0, 1), p, key, step, False), want)


def test_dropout_mask_depends_on_position_alone(isa: str, rng: np.random.Generator) -> None:
    checks.mask_depends_on_position_alone(
        lambda x, p, key, step: _core.dropout(x, p, key, step, False), rng.standard_normal((6, 5, 23))
    )


def test_dropout_drops_nan_and_infinity(isa: str) -> None:
    x = np.full((1, 1, 64), np.nan)
    x[..., ::2] = np.inf
    checks.same_bits(_core.dropout(x, 0.5, 1, 0, False), reference.dropout.dropout(x, 0.5, 1, 0))
