"""What a call costs beside arithmetic, counted: allocations and barriers. Arrays beyond 32-bit offsets."""

from __future__ import annotations

import mmap
import re
import sys
from pathlib import Path
from typing import Any

import checks
import numpy as np
import ops
import pytest
import recurrent
from ops import make_cross_entropy, make_linear
from recurrent_cases import make_case

import fastrnn
from fastrnn import _core

PAST = 2**31  # elements: one more than a signed 32-bit index reaches
GIGABYTE = 10**9


def make_model(dropout: float = 0.0) -> Any:
    """Embedding, two layers of LSTM, softmax."""
    body = fastrnn.Sequential(
        fastrnn.Embedding(31, 24, seed=0),
        fastrnn.LSTM(24, 40, 2, dropout=dropout, seed=1),
        fastrnn.Dropout(dropout),
    )
    return fastrnn.value_and_grad(body, fastrnn.losses.LinearCrossEntropy(40, 31, seed=2))


def train(model: Any, tokens: np.ndarray, steps: int) -> None:
    """Some training steps, the state carried on."""
    optimizer, state = fastrnn.optim.Adam(model), None
    for k in range(steps):
        _, state = model(tokens[:-1], tokens[1:], state, key=k)
        optimizer.step(max_norm=1.0)


class TestPool:
    """Blocks come back to the pool, and in the steady state they all come from there."""

    @pytest.mark.parametrize("dropout", [0.0, 0.3])
    def test_steady_training_allocates_nothing(self, rng: np.random.Generator, dropout: float) -> None:
        model, tokens = make_model(dropout), rng.integers(0, 31, (21, 9))
        train(model, tokens, 3)
        before = _core.cache_info()
        train(model, tokens, 5)
        after = _core.cache_info()
        assert after["acquisitions"] > before["acquisitions"]
        assert after["system_allocations"] == before["system_allocations"]

    def test_two_shapes_in_turn_allocate_nothing(self, rng: np.random.Generator) -> None:
        model, shapes = make_model(), [rng.integers(0, 31, shape) for shape in ((21, 9), (5, 40))]
        for tokens in shapes:
            train(model, tokens, 2)
        before = _core.cache_info()["system_allocations"]
        for tokens in shapes * 2:
            train(model, tokens, 1)
        assert _core.cache_info()["system_allocations"] == before

    def test_all_blocks_come_back(self, rng: np.random.Generator, dtype: np.dtype) -> None:
        case = make_case(rng, (9, 8, 33, 64), dtype)
        before = _core.cache_info()["in_use"]
        run = recurrent.run_kernel(case)
        assert _core.cache_info()["in_use"] > before  # y, dx and states are blocks of the pool
        del run
        assert _core.cache_info()["in_use"] == before
        train(make_model(0.3), rng.integers(0, 31, (21, 9)), 2)
        assert _core.cache_info()["in_use"] == before

    def test_a_pullback_gives_back_when_used_and_when_dropped(self, rng: np.random.Generator) -> None:
        layer = fastrnn.LSTM(16, 64, seed=0)
        x = rng.standard_normal((50, 20, 16)).astype(np.float32)
        before = _core.cache_info()["in_use"]
        (y, state), pullback = layer.vjp(x)
        kept = _core.cache_info()["in_use"]
        pullback(y)
        assert _core.cache_info()["in_use"] < kept
        del y, state, pullback
        assert _core.cache_info()["in_use"] == before
        _, dropped = layer.vjp(x)
        del _, dropped
        assert _core.cache_info()["in_use"] == before

    def test_an_error_gives_back(self, rng: np.random.Generator) -> None:
        layer = fastrnn.LSTM(16, 64, seed=0)
        x = rng.standard_normal((5, 2, 16)).astype(np.float32)
        before = _core.cache_info()["in_use"]
        (y, state), pullback = layer.vjp(x)
        with pytest.raises(ValueError, match="dy"):
            pullback(y[1:])
        del y, state, pullback
        assert _core.cache_info()["in_use"] == before

    def test_a_result_outlives_the_cache(self, rng: np.random.Generator) -> None:
        layer = fastrnn.LSTM(16, 64, seed=0)
        x = rng.standard_normal((50, 20, 16)).astype(np.float32)
        y = layer(x)[0]
        want = y.copy()
        _core.clear_cache()
        assert _core.cache_info()["cached"] == 0
        layer(x * 2)
        checks.same_bits(y, want)


STEPS = (20, 61)


def shape_with(groups: tuple[int, int], threads: int) -> tuple[int, int, int]:
    """B, I, H that the planner splits into so many groups of rows and of units."""
    for rows in (1, 2, 3, 4, 8, 16, 33, 64):
        for hidden in (16, 32, 64, 128, 256, 512):
            plans = [_core.explain("lstm", steps, rows, 24, hidden, threads, "float32") for steps in STEPS]
            if all((plan["row_groups"], plan["unit_groups"]) == groups for plan in plans):
                return rows, 24, hidden
    raise AssertionError(f"no shape is split into {groups} by {threads} threads")


def waits(shape: tuple[int, int, int], steps: int) -> tuple[int, int]:
    """Barriers passed by forward and by backward."""
    rng = np.random.default_rng(0)
    rows, width, hidden = shape
    layer = fastrnn.LSTM(width, hidden, seed=0)
    x = rng.standard_normal((steps, rows, width)).astype(np.float32)
    start = _core.barrier_waits()
    (y, _), pullback = layer.vjp(x)
    middle = _core.barrier_waits()
    pullback(y)
    return middle - start, _core.barrier_waits() - middle


@pytest.mark.usefixtures("threads")
class TestBarriers:
    """A step costs one barrier for each group of rows whose units are shared out, else none."""

    # Threads, groups of rows, groups of units.
    @pytest.mark.parametrize(("threads", "rows", "units"), [(2, 1, 2), (3, 1, 3), (4, 2, 2)])
    def test_one_for_each_step_where_units_are_split(self, threads: int, rows: int, units: int) -> None:
        _core.set_num_threads(threads)
        shape = shape_with((rows, units), threads)
        for steps in STEPS:
            chunks = self.chunks(shape, steps, threads)
            assert waits(shape, steps) == (1 + rows * steps, 1 + chunks + rows * steps)

    @pytest.mark.parametrize("threads", [2, 3])
    def test_none_for_steps_within_rows(self, threads: int) -> None:
        _core.set_num_threads(threads)
        shape = shape_with((threads, 1), threads)
        for steps in STEPS:
            assert waits(shape, steps) == (1, 1 + self.chunks(shape, steps, threads))

    def test_none_at_all_alone(self) -> None:
        _core.set_num_threads(1)
        assert waits((33, 24, 64), 20) == (0, 0)

    @staticmethod
    def chunks(shape: tuple[int, int, int], steps: int, threads: int) -> int:
        """Chunks of backward; the gradients of the weights are formed between two of them."""
        rows, width, hidden = shape
        plan = _core.explain("lstm", steps, rows, width, hidden, threads, "float32")
        return -(-steps // plan["backward_chunk"])


@pytest.mark.skipif(sys.maxsize < 2**32, reason="arrays of 17 GB need 64-bit addresses")
class TestPast2To31:
    """Offsets are 64-bit: arrays that span more than 2^32 elements, of which few are touched.

    They lie in an anonymous mapping, of which only pages that are written become real memory.
    """

    ROW, ROWS, STEPS = 2**16, 5, 2  # elements from row to row; rows; steps, 2^32 + 5 elements apart

    @pytest.fixture
    def far(self) -> np.ndarray:
        """Zeros, float32 [more than 2^32], none of them in memory yet."""
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        try:
            memory = mmap.mmap(-1, 4 * (2 * PAST + self.ROW * (self.ROWS + 1)), flags=flags)
        except OSError as error:
            pytest.skip(f"no sparse mapping here: {error}")
        return np.frombuffer(memory, np.float32)

    def spread(self, far: np.ndarray, only: str) -> ops.Layout:
        """A layout that puts array `only`, [2, B, n], into `far`."""

        def layout(name: str, a: np.ndarray) -> np.ndarray:
            if name != only:
                return a
            strides = (4 * (2 * PAST + 5), 4 * self.ROW, 4)
            wide = np.lib.stride_tricks.as_strided(far, a.shape, strides)
            wide[...] = a
            return wide

        return layout

    @pytest.mark.parametrize("name", ["x", "dy"])
    def test_recurrent(self, isa: str, rng: np.random.Generator, far: np.ndarray, name: str) -> None:
        case = make_case(rng, (self.STEPS, self.ROWS, 9, 17), "float32")
        found = recurrent.run_kernel(case, layout=self.spread(far, name))
        checks.runs_same_bits(found, recurrent.run_kernel(case))

    @pytest.mark.parametrize("name", ["x", "dy"])
    def test_linear(self, isa: str, rng: np.random.Generator, far: np.ndarray, name: str) -> None:
        case = make_linear(rng, (self.STEPS, self.ROWS), 17, 33).astype(np.float32)
        checks.runs_same_bits(ops.run_kernel(case, self.spread(far, name)), ops.run_kernel(case))

    def test_cross_entropy(self, isa: str, rng: np.random.Generator, far: np.ndarray) -> None:
        case = make_cross_entropy(rng, (self.STEPS, self.ROWS), 17, 33).astype(np.float32)
        checks.runs_same_bits(ops.run_kernel(case, self.spread(far, "x")), ops.run_kernel(case))

    def test_dropout(self, isa: str, rng: np.random.Generator, far: np.ndarray) -> None:
        x = rng.standard_normal((self.STEPS, self.ROWS, 17)).astype(np.float32)
        wide = self.spread(far, "x")("x", x)
        checks.same_bits(_core.dropout(wide, 0.5, 3, 0, False), _core.dropout(x, 0.5, 3, 0, False))

    def test_embedding(self, isa: str, rng: np.random.Generator, far: np.ndarray) -> None:
        """A table of 2^32 elements and more, and its gradient, of which three rows are used."""
        width = 2**12
        table = far[: len(far) // width * width].reshape(-1, width)
        tokens = np.array([0, len(table) - 1, len(table) // 2 + 1, len(table) - 1])
        assert tokens[1] * width > 2 * PAST
        dy = rng.standard_normal((4, width)).astype(np.float32)
        _core.embedding_backward(tokens, dy, table)
        checks.same_bits(table[tokens[1]], dy[1] + dy[3])
        found = _core.embedding(tokens, table)
        checks.same_bits(found, np.stack([dy[0], dy[1] + dy[3], dy[2], dy[1] + dy[3]]))

    def test_repeated_row(self, rng: np.random.Generator) -> None:
        """2^31 inputs and more through a stride of zero: each step is the same row."""
        shape = (2**14, 2**9, 2**8 + 1)
        assert np.prod(shape) > PAST
        row, weight = (rng.standard_normal((1, shape[2])).astype(np.float32) for _ in range(2))
        found = _core.linear(np.broadcast_to(row, shape), weight, None)
        checks.same_bits(found, np.broadcast_to(_core.linear(row, weight, None)[0], found.shape))

    @pytest.mark.heavy
    def test_what_forward_keeps(self, rng: np.random.Generator) -> None:
        """More than 2^31 elements kept for backward; rows are equal, so their results are."""
        status = Path("/proc/meminfo")
        free = re.search(r"MemAvailable:\s+(\d+) kB", status.read_text()) if status.exists() else None
        if free is None or int(free[1]) * 1024 < 14 * GIGABYTE:
            pytest.skip("14 GB of free memory needed")
        steps, rows = 64, 2**19  # 80 elements of each: four gates of one block of units, and padding
        assert steps * rows * 64 >= PAST
        layer = fastrnn.LSTM(1, 1, seed=0)
        column = rng.standard_normal((steps, 1, 1)).astype(np.float32)
        (y, _), pullback = layer.vjp(np.broadcast_to(column, (steps, rows, 1)))
        dx, _ = pullback(y)
        (want, _), pullback = layer.vjp(column)
        checks.same_bits(y, np.broadcast_to(want, y.shape))
        checks.same_bits(dx, np.broadcast_to(pullback(want)[0], y.shape))
        del y, dx
        _core.clear_cache()
