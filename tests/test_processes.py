"""Several Python threads at once, and a forked child: the same bits as alone, and no one waits for ever."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import checks
import numpy as np
import pytest
import recurrent
from processes import DEADLINE, fork
from recurrent_cases import make_case

import fastrnn
from fastrnn import _core


def train(seed: int = 0) -> np.ndarray:
    """The parameters after a few training steps of a language model; always the same."""
    body = fastrnn.Sequential(fastrnn.Embedding(31, 24, seed=seed), fastrnn.LSTM(24, 130, 2, seed=1))
    model = fastrnn.value_and_grad(body, fastrnn.losses.LinearCrossEntropy(130, 31, seed=2))
    optimizer, state = fastrnn.optim.Adam(model), None
    tokens = np.random.default_rng(3).integers(0, 31, (21, 9))
    for _ in range(3):
        _, state = model(tokens[:-1], tokens[1:], state)
        optimizer.step(max_norm=1.0)
    return model.flat_params.copy()


class TestThreads:
    """Calls of several Python threads at once."""

    @pytest.mark.parametrize("callers", [2, 5])
    def test_the_same_bits_as_alone(self, rng: np.random.Generator, dtype: np.dtype, callers: int) -> None:
        cases = [make_case(rng, (9, 3 + k, 30, 64 + k), dtype) for k in range(callers)]
        alone = [recurrent.run_kernel(case) for case in cases]
        together = threading.Barrier(callers)

        def run(k: int) -> list[Any]:
            together.wait(DEADLINE)
            return [recurrent.run_kernel(cases[k]) for _ in range(10)]

        with ThreadPoolExecutor(callers) as pool:
            for want, found in zip(alone, pool.map(run, range(callers)), strict=True):
                for got in found:
                    checks.runs_same_bits(got, want)

    def test_models_of_their_own(self) -> None:
        want = [train(seed) for seed in (0, 1)]
        with ThreadPoolExecutor(2) as pool:
            for a, b in zip(pool.map(train, (0, 1)), want, strict=True):
                checks.same_bits(a, b)

    def test_one_model_for_inference(self, rng: np.random.Generator) -> None:
        layer = fastrnn.LSTM(30, 64, 2, seed=0)
        inputs = [rng.standard_normal((9, 5, 30)).astype(np.float32) for _ in range(6)]
        want = [layer(x)[0] for x in inputs]
        with ThreadPoolExecutor(3) as pool:
            for (y, _), alone in zip(pool.map(layer, inputs), want, strict=True):
                checks.same_bits(y, alone)

    def test_one_model_adds_up_every_gradient(self, rng: np.random.Generator) -> None:
        """Gradients of powers of two add up without rounding, in any order."""
        layer = fastrnn.Linear(64, 64, seed=0)
        x, dy = np.ones((8, 64), np.float32), np.ones((8, 64), np.float32)

        def run(_: int) -> None:
            layer.vjp(x)[1](dy)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(run, range(64)))
        assert (layer.flat_grads == 8 * 64).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.usefixtures("threads")
class TestFork:
    """A child of a process that has used threads."""

    @pytest.mark.parametrize("threads", [1, 2, 4])
    def test_trains_as_its_parent(self, threads: int) -> None:
        _core.set_num_threads(threads)
        want = train()
        assert fork(lambda: np.array_equal(train(), want)) == 0
        checks.same_bits(train(), want)

    def test_may_use_threads(self) -> None:
        _core.set_num_threads(2)
        want = train()

        def child() -> bool:
            assert _core.get_num_threads() == 1  # a worker among others, until it asks for more
            _core.set_num_threads(2)
            return np.array_equal(train(), want)

        assert fork(child) == 0

    def test_while_another_thread_calls(self) -> None:
        _core.set_num_threads(2)
        want, stop = train(), threading.Event()

        def busy() -> None:
            while not stop.is_set():
                train()

        caller = threading.Thread(target=busy)
        caller.start()
        try:
            for _ in range(5):
                time.sleep(0.01)
                assert fork(lambda: np.array_equal(train(), want)) == 0
        finally:
            stop.set()
            caller.join()
        checks.same_bits(train(), want)

    def test_a_grandchild(self) -> None:
        _core.set_num_threads(2)
        want = train()

        def child() -> bool:
            _core.set_num_threads(2)
            train()
            return fork(lambda: np.array_equal(train(), want)) == 0

        assert fork(child) == 0
