"""Products of bfloat16: what is rounded, in which order it is summed, and that nothing else has changed.

The kernels without the instruction (emulated) run on every processor, and give the bits of those with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import checks
import numpy as np
import pytest
import recurrent
from conftest import SEED
from ops import draw
from recurrent_cases import make_case

from fastrnn import _core, reference
from fastrnn.reference import bfloat16, cross_entropy, linear

CELLS = list(reference.CELLS)
NATIVE = any(name.endswith("_bf16") for name in _core.available_isas())
AMX = [name for name in _core.available_isas() if name.endswith("_amx")]  # or emulated: see HACKING.md


pytestmark = pytest.mark.usefixtures("emulated")


class TestRounding:
    """To the nearest, of two the even one."""

    def test_all_patterns(self, isa: str) -> None:
        """Every bfloat16, and its neighbours half a unit away, through a product with one."""
        high = np.arange(2**16, dtype=np.uint32) << 16
        low = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
        x = (high[:, None] | low).view(np.float32)
        normal = (np.abs(x) >= np.finfo(np.float32).tiny) | (x == 0) | np.isnan(x)
        x = np.where(normal, x, 0).reshape(-1, 1)
        found = _core.linear(x, np.ones((1, 1), np.float32), None, True)
        checks.same_bits(found, bfloat16.rounded(x) + 0)

    def test_against_decimals(self) -> None:
        """The reference: 1 + k / 1024 has 2 bits too many."""
        for k in range(1024):
            quotient, rest = divmod(k, 8)
            up = rest > 4 or (rest == 4 and quotient % 2 == 1)
            assert bfloat16.rounded(np.float32(1 + k / 1024)) == 1 + (quotient + up) / 128

    def test_order(self) -> None:
        """Odd before even: 2**24 swallows a one that comes alone, and not two."""
        a = np.array([[1, 2**24, 1, 0]], np.float32)
        one = np.ones((4, 1), np.float32)
        assert bfloat16.multiply(a, one)[0, 0] == 2**24
        assert bfloat16.multiply(a, one, order=(0, 1))[0, 0] == 2**24
        b = np.array([[2**24, 1]], np.float32)
        assert bfloat16.multiply(b, one[:2])[0, 0] == bfloat16.multiply(b, one[:2], order=(0, 1))[0, 0]
        d = np.array([[0, 2**24, -(2**24), 1]], np.float32)
        assert bfloat16.multiply(d, one)[0, 0] == _core.linear(d, one.T, None, True)[0, 0] == 0
        assert bfloat16.multiply(d, one, order=(0, 1))[0, 0] == 1
        c = np.array([[-(2**24), 2**24 + 2**17, 1, 1]], np.float32)
        assert _core.linear(c, one.T, None, True)[0, 0] == bfloat16.multiply(c, one)[0, 0]


SIZES = [
    (1, 1, 1, 1),
    (2, 3, 5, 7),
    (3, 7, 17, 33),
    (1, 40, 64, 65),
    (2, 300, 33, 70),
    (9, 31, 129, 20),
    (70, 1, 8, 9),
]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_linear_has_the_bits_of_the_reference(
    isa: str, rng: np.random.Generator, size: tuple[int, ...]
) -> None:
    """Result, dx and the weight gradient; the bias gradient is of dy as it is."""
    steps, rows, inputs, outputs = size
    x, dy = draw(rng, steps, rows, inputs), draw(rng, steps, rows, outputs)
    weight, bias = draw(rng, outputs, inputs), draw(rng, outputs)
    dweight, dbias = np.zeros_like(weight), np.zeros_like(bias)
    dx = _core.linear_backward(dy, x, weight, dweight, dbias, True, True)
    want = linear.linear_backward(dy, x, weight, True)
    checks.same_bits(_core.linear(x, weight, bias, True), linear.linear(x, weight, bias, True))
    checks.same_bits(dx, want.x)
    checks.same_bits(dweight, want.weight)
    wide = linear.linear_backward(dy.astype(np.longdouble), x, weight)
    checks.close(dbias, wide.bias, "gradient", "dbias")
    if inputs > 2:
        wrong = bfloat16.multiply(x, weight.T, bias, order=(0, 1))
        with pytest.raises(AssertionError, match="differ"):
            checks.same_bits(_core.linear(x, weight, bias, True), wrong)


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize(
    "size", [(1, 1, 1, 2), (2, 3, 5, 7), (3, 7, 17, 33), (5, 9, 33, 300), (2, 201, 9, 130)], ids=str
)
def test_cross_entropy_matches_the_reference(
    isa: str, rng: np.random.Generator, size: tuple[int, ...], mean: bool
) -> None:
    """Loss and gradients, with rows that do not count."""
    steps, rows, inputs, classes = size
    x, weight, bias = draw(rng, steps, rows, inputs), draw(rng, classes, inputs), draw(rng, classes)
    targets = rng.integers(0, classes, (steps, rows))
    targets[0, :1] = -100 if steps * rows > 1 else 0
    wide = [a.astype(np.longdouble) for a in (x, weight, bias)]
    dweight, dbias = np.zeros_like(weight), np.zeros_like(bias)
    loss, _, dx = _core.cross_entropy_grad(
        x, weight, bias, targets, -100, mean, 1.0, dweight, dbias, True, None, True
    )
    want, _ = cross_entropy.cross_entropy(*wide, targets, -100, mean, None, True)
    by = cross_entropy.cross_entropy_backward(*wide, targets, -100, mean, 1.0, None, True)
    checks.close(np.float32(loss), np.asarray(want), "loss", "loss")
    for name, got, wanted in (("x", dx, by.x), ("weight", dweight, by.weight), ("bias", dbias, by.bias)):
        checks.close(got, wanted, "bfloat16", name)
    exact = cross_entropy.cross_entropy_backward(*wide, targets, -100, mean)
    if steps * rows * inputs > 1:
        with pytest.raises(AssertionError, match="eps"):
            checks.close(dweight, exact.weight, "bfloat16", "sabotage: nothing is rounded")


SHAPES = [(2, 3, 5, 7), (3, 2, 17, 33), (4, 5, 3, 16)]
OPTIONS: list[dict[str, Any]] = [{}, {"state": False, "bias": False}, {"vocabulary": 3}, {"noise": True}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_cells_match_the_reference(
    isa: str, cell: str, shape: tuple[int, int, int, int], options: dict[str, Any]
) -> None:
    """Tightly, with its sums."""
    cells_match(cell, shape, options)


def cells_match(cell: str, shape: tuple[int, int, int, int], options: dict[str, Any]) -> None:
    """Outputs, states and all gradients of every cell, tightly.

    Where the last bit of a float32, which differs, decides how a number is rounded, both sides part by half a
    unit of bfloat16. That is rare: of three draws one at least has no such place.
    """
    tight = 0
    for seed in range(SEED, SEED + 3):
        case = make_case(np.random.default_rng(seed), shape, "float32", cell=cell, **options)
        got = recurrent.run_kernel(replace(case, bfloat16=True))
        want = recurrent.run_reference(replace(case, bfloat16=True))
        checks.runs_close(got, want, "one bfloat16", "one bfloat16")
        try:
            checks.runs_close(got, want, "bfloat16", "bfloat16")
        except AssertionError:
            continue
        tight += 1
        with pytest.raises(AssertionError, match="eps"):
            checks.runs_close(got, recurrent.run_reference(case), "bfloat16", "bfloat16")
    assert tight >= 1


@pytest.mark.skipif(not NATIVE, reason="no instruction for bfloat16")
class TestInstruction:
    """The instruction gives the bits of the emulation, which is compared with the reference."""

    @pytest.fixture(autouse=True)
    def _native(self) -> Iterator[None]:
        before = _core.isa()
        _core.use_isa(next(name for name in _core.available_isas() if name.endswith("_bf16")))
        yield
        _core.use_isa(before)

    @pytest.mark.parametrize("cell", CELLS)
    @pytest.mark.parametrize("shape", [(3, 7, 17, 33), (5, 33, 64, 65), (90, 4, 8, 24)], ids=str)
    def test_cells(self, rng: np.random.Generator, cell: str, shape: tuple[int, int, int, int]) -> None:
        case = replace(make_case(rng, shape, "float32", cell=cell), bfloat16=True)
        self._same(lambda: recurrent.run_kernel(case))

    def test_operations(self, rng: np.random.Generator) -> None:
        for steps, rows, inputs, outputs in (*SIZES, (2, 200, 70, 260)):
            x, dy = draw(rng, steps, rows, inputs), draw(rng, steps, rows, outputs)
            weight, targets = draw(rng, outputs, inputs), rng.integers(0, outputs, (steps, rows))

            def run(x: Any = x, dy: Any = dy, weight: Any = weight, targets: Any = targets) -> dict[str, Any]:
                first, second = np.zeros_like(weight), np.zeros_like(weight)
                dx = _core.linear_backward(dy, x, weight, first, None, True, True)
                loss, _, by = _core.cross_entropy_grad(
                    x, weight, None, targets, -1, True, 1.0, second, None, True, None, True
                )
                y = _core.linear(x, weight, None, True)
                return {"y": y, "dx": dx, "dw": first, "loss": np.asarray(loss), "by": by, "second": second}

            self._same(run)

    @staticmethod
    def _same(run: Any) -> None:
        want = run()
        _core.emulate_bfloat16(False)
        assert _core.has_bfloat16()
        got = run()
        _core.emulate_bfloat16(True)
        checks.runs_same_bits(got, want)


@pytest.mark.skipif(not AMX, reason="no tiles of bfloat16")
class TestTiles:
    """AMX, whose sums are others: `bfloat16.block`."""

    @pytest.fixture(autouse=True)
    def _tiles(self, emulated: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        with _tiles_in_use():
            monkeypatch.setattr(bfloat16, "block", 16)
            yield

    @pytest.mark.parametrize("size", [*SIZES, (2, 31, 70, 40), (1, 40, 129, 300)], ids=str)
    def test_linear(self, rng: np.random.Generator, size: tuple[int, ...]) -> None:
        steps, rows, inputs, outputs = size
        x, dy = draw(rng, steps, rows, inputs), draw(rng, steps, rows, outputs)
        weight = draw(rng, outputs, inputs)
        dweight = np.zeros_like(weight)
        dx = _core.linear_backward(dy, x, weight, dweight, None, True, True)
        want = linear.linear_backward(dy, x, weight, True)
        checks.same_bits(_core.linear(x, weight, None, True), linear.linear(x, weight, None, True))
        checks.same_bits(dx, want.x)
        checks.same_bits(dweight, want.weight)

    def test_other_sums_are_seen(self, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
        x, weight = draw(rng, 4, 70), draw(rng, 40, 70)
        for block in (1, 8, 32):
            monkeypatch.setattr(bfloat16, "block", block)
            with pytest.raises(AssertionError, match="differ"):
                checks.same_bits(_core.linear(x, weight, None, True), linear.linear(x, weight, None, True))

    @pytest.mark.parametrize("options", OPTIONS, ids=str)
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    @pytest.mark.parametrize("cell", CELLS)
    def test_cells(self, cell: str, shape: tuple[int, int, int, int], options: dict[str, Any]) -> None:
        cells_match(cell, shape, options)


@contextmanager
def _tiles_in_use() -> Iterator[None]:
    """AMX in place of what gives the same bits everywhere."""
    before = _core.isa()
    _core.emulate_bfloat16(False)
    _core.use_isa(AMX[0])
    yield
    _core.use_isa(before)
    _core.emulate_bfloat16(True)


@pytest.mark.usefixtures("threads")
class TestInvariance:
    """The bit rule: threads, rows, chunks, tokens."""

    @pytest.fixture(autouse=True, params=["chains", *AMX])
    def _sums(self, emulated: None, request: pytest.FixtureRequest) -> Iterator[None]:
        with _tiles_in_use() if request.param in AMX else nullcontext():
            yield

    @pytest.mark.parametrize("cell", CELLS)
    @pytest.mark.parametrize("shape", [(4, 33, 9, 17), (5, 8, 30, 121), (90, 3, 8, 24)], ids=str)
    def test_threads(self, rng: np.random.Generator, cell: str, shape: tuple[int, int, int, int]) -> None:
        case = replace(make_case(rng, shape, "float32", cell=cell), bfloat16=True)
        checks.threads_change_nothing(lambda: recurrent.run_kernel(case))

    @pytest.mark.parametrize("cell", CELLS)
    def test_tokens(self, rng: np.random.Generator, cell: str) -> None:
        case = replace(make_case(rng, (11, 13, 18, 33), "float32", cell=cell, vocabulary=41), bfloat16=True)
        checks.threads_change_nothing(lambda: recurrent.run_kernel(case))

    def test_operations(self, rng: np.random.Generator) -> None:
        x, dy, weight, bias = draw(rng, 7, 29, 70), draw(rng, 7, 29, 130), draw(rng, 130, 70), draw(rng, 130)
        targets = rng.integers(0, 130, (7, 29))

        def run() -> dict[str, Any]:
            sums = [np.zeros_like(a) for a in (weight, bias, weight, bias)]
            dx = _core.linear_backward(dy, x, weight, *sums[:2], True, True)
            loss, _, by = _core.cross_entropy_grad(
                x, weight, bias, targets, -1, True, 1.0, *sums[2:], True, None, True
            )
            y = _core.linear(x, weight, bias, True)
            return {"y": y, "dx": dx, "loss": np.asarray(loss), "by": by} | dict(
                zip("abcd", sums, strict=True)
            )

        checks.threads_change_nothing(run)

    @pytest.mark.parametrize("cell", CELLS)
    def test_rows(self, rng: np.random.Generator, cell: str) -> None:
        case = replace(make_case(rng, (5, 9, 18, 33), "float32", cell=cell), bfloat16=True)
        for rows in (np.array([4]), rng.permutation(9)):
            checks.rows_are_independent(case, rows, recurrent.run_kernel, checks.runs_same_bits)

    @pytest.mark.parametrize("cell", CELLS)
    @pytest.mark.parametrize("rows", [1, 5, 8])
    def test_chunks(self, rng: np.random.Generator, cell: str, rows: int) -> None:
        """Also with an odd number of rows, where a step ends with half a pair."""
        case = replace(make_case(rng, (7, rows, 9, 20), "float32", cell=cell), bfloat16=True)
        for cuts in ([1], [3], [2, 5]):
            checks.chunks_equal_the_whole(case, cuts, recurrent.run_kernel, checks.runs_same_bits)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("cell", CELLS)
    def test_nan_stays_in_its_row(self, rng: np.random.Generator, cell: str, value: float) -> None:
        case = replace(make_case(rng, (4, 5, 9, 17), "float32", cell=cell), bfloat16=True)
        checks.nan_stays_in_its_row(case, 2, recurrent.run_kernel, value)


class TestChains:
    """What holds for sums of one chain alone."""

    @pytest.mark.parametrize("rows", [1, 5, 8])
    def test_loss_in_chunks(self, rng: np.random.Generator, rows: int) -> None:
        x, weight = draw(rng, 9, rows, 33), draw(rng, 70, 33)
        targets = rng.integers(0, 70, (9, rows))

        def add(first: int, last: int, to: np.ndarray) -> np.ndarray:
            part = slice(first, last)
            return _core.cross_entropy_grad(
                x[part], weight, None, targets[part], -1, False, 1.0, to, None, True, None, True
            )[2]

        whole, parts = np.zeros_like(weight), np.zeros_like(weight)
        dx = add(0, 9, whole)
        for first, last in ((4, 9), (3, 4), (0, 3)):
            checks.same_bits(add(first, last, parts), dx[first:last])
        checks.same_bits(parts, whole)

    def test_instruction_sets(self, rng: np.random.Generator) -> None:
        """All of them, for products of bfloat16 are exact; those of the pointwise need fma."""
        names = tuple(name for name in _core.available_isas() if name not in AMX)
        fused = tuple(name for name in names if name != "sse4")
        before = _core.isa()
        case = replace(make_case(rng, (5, 7, 30, 33), "float32"), bfloat16=True)
        checks.isas_agree(lambda: recurrent.run_kernel(case), fused)
        x, weight = draw(rng, 30, 33), draw(rng, 70, 33)
        checks.isas_agree(lambda: {"y": _core.linear(x, weight, None, True)}, names)
        _core.use_isa(before)
