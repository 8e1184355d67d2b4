"""Bit for bit: threads, batch, chunks, instruction set, denormals, NaN and infinity."""

from __future__ import annotations

from typing import Any

import checks
import numpy as np
import ops
import pytest
import recurrent
from ops import make_attention, make_convolution, make_cross_entropy, make_embedding, make_linear, make_pool
from recurrent_cases import Case, make_case

from fastrnn import _core, reference

CELLS = list(reference.CELLS)
FUSED = tuple(name for name in _core.available_isas() if name in ("avx2", "avx512", "neon"))
# T, B, I, H: too small to share, wide batch, wide layer, one row, odd in everything, many chunks of steps.
SHAPES = [
    (3, 2, 3, 4),
    (4, 33, 9, 17),
    (5, 8, 30, 121),
    (6, 1, 17, 65),
    (9, 21, 31, 49),
    (90, 4, 8, 24),
    (60, 5, 9, 64),
]


@pytest.fixture(params=CELLS)
def cell(request: pytest.FixtureRequest) -> str:
    """Every cell in turn."""
    return request.param


@pytest.fixture(params=SHAPES, ids=str)
def case(request: pytest.FixtureRequest, rng: np.random.Generator, dtype: np.dtype, cell: str) -> Case:
    """One layer with bias and state, in every shape."""
    return make_case(rng, request.param, dtype, cell=cell)


def test_every_split_is_met() -> None:
    """The shapes and thread counts below cover every way to share a layer, and several chunks."""
    plans = [_core.explain("lstm", *shape, count, "float32") for shape in SHAPES for count in (1, 2, 3, 7)]
    splits = {(p["row_groups"] > 1, p["unit_groups"] > 1) for p in plans}
    assert splits == {(False, False), (False, True), (True, False), (True, True)}
    for chunk in ("forward_chunk", "backward_chunk"):
        cut = [p for p, shape in zip(plans, np.repeat(SHAPES, 4, axis=0), strict=True) if shape[0] > p[chunk]]
        assert {p["unit_groups"] > 1 for p in cut} == {False, True}


@pytest.mark.usefixtures("threads")
class TestThreads:
    """The number of threads changes no bit."""

    def test_recurrent(self, isa: str, case: Case) -> None:
        checks.threads_change_nothing(lambda: recurrent.run_kernel(case))

    @pytest.mark.parametrize("vocabulary", [1, 5, 300])
    def test_tokens(
        self, isa: str, rng: np.random.Generator, dtype: np.dtype, cell: str, vocabulary: int
    ) -> None:
        case = make_case(rng, (11, 13, 18, 33), dtype, cell=cell, vocabulary=vocabulary)
        checks.threads_change_nothing(lambda: recurrent.run_kernel(case))

    def test_operations(self, isa: str, rng: np.random.Generator, dtype: np.dtype) -> None:
        for case in (
            make_linear(rng, (13, 29), 70, 130),
            make_linear(rng, (3,), 500, 33),
            make_cross_entropy(rng, (23, 31), 40, 300),
            make_cross_entropy(rng, (3,), 40, 2000, mean=False),
            make_embedding(rng, (50, 20), 90, 130),
            make_pool(rng, (40, 30, 130), "mean"),
            make_pool(rng, (40, 30, 130), "max"),
            make_convolution(rng, (13, 40, 25), 50, 3),
            make_attention(rng, (9, 31, 13, 70, 90), masked=0.3),
            make_attention(rng, (9, 31, 13, 70, 90), additive=True),
        ):
            narrow = case.astype(dtype)
            checks.threads_change_nothing(lambda c=narrow: ops.run_kernel(c))

    def test_dropout(self, isa: str, rng: np.random.Generator, dtype: np.dtype) -> None:
        x = rng.standard_normal((9, 31, 300)).astype(dtype)
        checks.threads_change_nothing(lambda: {"y": _core.dropout(x, 0.3, 7, 2, False)})

    def test_optimisers(self, isa: str, rng: np.random.Generator, dtype: np.dtype) -> None:
        lists = [[rng.random(n).astype(dtype) for n in (100_003, 17)] for _ in range(4)]

        def run(kind: str) -> ops.Run:
            p, g, m, v = ([a.copy() for a in arrays] for arrays in lists)
            if kind == "sgd":
                norm = _core.sgd(p, g, m, 0.1, 0.9, 0.0, True, 0.1, 0.5, False)
            elif kind == "rmsprop":
                norm = _core.rmsprop(p, g, v, m, 0.1, 0.9, 1e-8, 0.9, 0.1, 0.5, False)
            elif kind == "adagrad":
                norm = _core.adagrad(p, g, v, 0.1, 1e-8, 0.1, 0.5, False)
                _core.clip_value(g, 0.3)
            else:
                norm = _core.adam(p, g, m, v, 3, 0.1, 0.9, 0.99, 1e-8, 0.1, True, 0.5, False)
            found = zip("pgmv", (p, g, m, v), strict=True)
            return {"norm": np.asarray(norm), **{f"{n}{k}": a for n, s in found for k, a in enumerate(s)}}

        for kind in ("sgd", "adam", "rmsprop", "adagrad"):
            checks.threads_change_nothing(lambda k=kind: run(k))


class TestRows:
    """A row does not depend on the batch around it."""

    def test_alone(self, isa: str, case: Case) -> None:
        last = case.inputs["x"].shape[1] - 1
        for row in {0, last // 2, last}:
            checks.rows_are_independent(case, np.array([row]), recurrent.run_kernel, checks.runs_same_bits)

    def test_permuted(self, isa: str, rng: np.random.Generator, case: Case) -> None:
        order = rng.permutation(case.inputs["x"].shape[1])
        checks.rows_are_independent(case, order, recurrent.run_kernel, checks.runs_same_bits)

    def test_tokens(self, isa: str, rng: np.random.Generator, dtype: np.dtype, cell: str) -> None:
        case = make_case(rng, (5, 9, 18, 33), dtype, cell=cell, vocabulary=7)
        for rows in (np.array([4]), rng.permutation(9)):
            checks.rows_are_independent(case, rows, recurrent.run_kernel, checks.runs_same_bits)

    def test_operations(self, isa: str, rng: np.random.Generator, dtype: np.dtype) -> None:
        x, w, b = (rng.standard_normal(s).astype(dtype) for s in ((40, 33), (70, 33), (70,)))
        want = _core.linear(x, w, b)
        for rows in (np.array([17]), rng.permutation(40)):
            checks.same_bits(_core.linear(x[rows], w, b), want[rows])
        targets = rng.integers(0, 70, 40)
        dx = _core.cross_entropy_grad(x, w, b, targets, -1, False, 1.0, None, None, True)[2]
        for rows in (np.array([17]), rng.permutation(40)):
            part = _core.cross_entropy_grad(x[rows], w, b, targets[rows], -1, False, 1.0, None, None, True)[2]
            checks.same_bits(part, dx[rows])

    @pytest.mark.parametrize("columns", [8, 16, 31, 32, 60, 63, 64, 65, 127, 130, 256])
    def test_few_rows_across_panels(
        self, isa: str, rng: np.random.Generator, dtype: np.dtype, columns: int
    ) -> None:
        """A tile of one or two rows takes several panels at once, but no columns that do not exist."""
        x, w = (rng.standard_normal(shape).astype(dtype) for shape in ((8, 9), (columns, 9)))
        want = _core.linear(x, w, None)
        for rows in (1, 2, 3):
            checks.same_bits(_core.linear(x[:rows], w, None), want[:rows])


class TestChunks:
    """A sequence cut in time is the whole, weight gradients included."""

    def test_recurrent(self, isa: str, case: Case) -> None:
        steps = len(case.inputs["x"])
        for cuts in ([1], [steps - 1], [0, steps // 2], list(range(1, min(steps, 6)))):
            checks.chunks_equal_the_whole(case, cuts, recurrent.run_kernel, checks.runs_same_bits)

    def test_linear(self, isa: str, rng: np.random.Generator, dtype: np.dtype) -> None:
        x, dy, w, dw, db = (
            rng.standard_normal(s).astype(dtype) for s in ((9, 5, 33), (9, 5, 70), (70, 33), (70, 33), (70,))
        )
        whole, parts = (dw.copy(), db.copy()), (dw.copy(), db.copy())
        _core.linear_backward(dy, x, w, *whole, False)
        for begin, end in ((4, 9), (3, 4), (0, 3)):
            _core.linear_backward(dy[begin:end], x[begin:end], w, *parts, False)
        for got, want in zip(parts, whole, strict=True):
            checks.same_bits(got, want)


@pytest.mark.every_isa
class TestInstructionSets:
    """Instruction sets with fma give the same bits; SSE4 has none."""

    @pytest.fixture(autouse=True)
    def _restored(self) -> Any:
        before = _core.isa()
        if len(FUSED) < 2:
            pytest.skip(f"only {FUSED} here")
        yield
        _core.use_isa(before)

    def test_recurrent(self, case: Case) -> None:
        checks.isas_agree(lambda: recurrent.run_kernel(case), FUSED)

    def test_tokens(self, rng: np.random.Generator, dtype: np.dtype, cell: str) -> None:
        case = make_case(rng, (11, 13, 18, 33), dtype, cell=cell, vocabulary=5)
        checks.isas_agree(lambda: recurrent.run_kernel(case), FUSED)

    def test_operations(self, rng: np.random.Generator, dtype: np.dtype) -> None:
        for case in (
            make_linear(rng, (13, 29), 70, 33),
            make_cross_entropy(rng, (23, 31), 40, 67),
            make_cross_entropy(rng, (5,), 7, 3),
            make_embedding(rng, (50, 20), 90, 130),
            make_pool(rng, (40, 30, 130), "mean"),
            make_pool(rng, (40, 30, 130), "max"),
            make_attention(rng, (9, 31, 13, 70, 90), masked=0.3),
            make_attention(rng, (9, 31, 13, 70, 90), additive=True),
        ):
            narrow = case.astype(dtype)
            checks.isas_agree(lambda c=narrow: ops.run_kernel(c), FUSED)

    @pytest.mark.parametrize("name", ["exp", "sigmoid", "tanh"])
    def test_math(self, rng: np.random.Generator, dtype: np.dtype, name: str) -> None:
        special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-30, -88.5, 89.0, -104.0], dtype)
        x = np.concatenate([special, (20 * rng.standard_normal(10_001)).astype(dtype)])
        checks.isas_agree(lambda: {"y": getattr(_core, name)(x)}, FUSED)

    def test_optimisers(self, rng: np.random.Generator, dtype: np.dtype) -> None:
        lists = [[rng.random(n).astype(dtype) for n in (10_003, 17)] for _ in range(4)]

        def run() -> ops.Run:
            p, g, m, v = ([a.copy() for a in arrays] for arrays in lists)
            norm = _core.sgd(p, g, m, 0.1, 0.9, 0.0, True, 0.1, 0.5, False)
            again = _core.adam(p, g, m, v, 3, 0.1, 0.9, 0.99, 1e-8, 0.1, True, 0.5, False)
            return {"norms": np.array([norm, again]), "p": p[0], "m": m[0], "v": v[0], "tail": p[1]}

        checks.isas_agree(run, FUSED)


class TestNumbers:
    """Denormals, NaN, infinity and saturation."""

    def test_denormals_are_zeros(
        self, isa: str, rng: np.random.Generator, dtype: np.dtype, cell: str
    ) -> None:
        for shape in ((3, 2, 5, 17), (4, 33, 9, 17)):
            checks.denormals_are_zeros(make_case(rng, shape, dtype, cell=cell), recurrent.run_kernel)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_nan_stays_in_its_row(self, isa: str, case: Case, value: float) -> None:
        rows = case.inputs["x"].shape[1]
        checks.nan_stays_in_its_row(case, rows // 2, recurrent.run_kernel, value)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_nan_in_weights_spreads(
        self, isa: str, rng: np.random.Generator, cell: str, value: float
    ) -> None:
        case = make_case(rng, (3, 2, 5, 17), "float32", cell=cell)
        case.inputs["w_hh_l0" if reference.CELLS[cell].RECURRENT else "w_ih_l0"][:] = value
        found = recurrent.run_kernel(case)
        assert np.isnan(found["y"][1:]).any() or np.isinf(value)
        assert any(np.isnan(a).any() for n, a in found.items() if n.startswith("d w")) or np.isinf(value)

    def test_saturated_gates_stay_finite(
        self, isa: str, rng: np.random.Generator, dtype: np.dtype, cell: str
    ) -> None:
        case = make_case(rng, (6, 3, 5, 17), dtype, cell=cell)
        case.inputs["x"][...] *= 1e6
        found = recurrent.run_kernel(case)
        checks.runs_close({"y": found["y"]}, {"y": recurrent.run_reference(case)["y"]})
        assert all(np.isfinite(a).all() for a in found.values())

    def test_no_steps(self, isa: str, rng: np.random.Generator, dtype: np.dtype, cell: str) -> None:
        case = make_case(rng, (0, 3, 5, 17), dtype, cell=cell)
        found = recurrent.run_kernel(case)
        assert found["y"].shape == (0, *case.inputs["h_l0"].shape)
        assert found["d x"].shape == (0, 3, 5)
        for name in (f"{s}_l0" for s in reference.CELLS[cell].STATES):
            checks.same_bits(found[name], case.inputs[name])
            checks.same_bits(found[f"d {name}"], case.cotangents[name])
        for name, a in case.into.items():
            checks.same_bits(found[f"d {name}"], a)
