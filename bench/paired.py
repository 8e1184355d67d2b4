"""The one recipe of all benchmarks: contenders side by side, a ratio with its spread, an answer asserted.

A round gives every contender one turn, in random order, with the same number of threads; a turn is a call
that is not timed and then as many as take 20 ms. What slows the machine for a while slows all contenders
alike, so the ratio is formed by round; its median and a bootstrap interval of that median are what counts.
The FMA peak is measured in the same rounds. Of two equal contenders this gives 1.000 within 0.001 on a
machine on which medians taken one after the other differ by 3 %.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastrnn import _core
from fastrnn._bench import TOLERANCE, Answer, check_equal, set_threads
from fastrnn._timing import Turn, interleave, timed

OURS = "fastrnn"
SECONDS = float(os.environ.get("FASTRNN_BENCH_SECONDS", "8"))  # for all rounds of one comparison
MOST_ROUNDS, LEAST_ROUNDS = 31, 5
THREADS = int(os.environ["FASTRNN_BENCH_THREADS"]) if "FASTRNN_BENCH_THREADS" in os.environ else None
RESAMPLES = 2000


@dataclass(frozen=True)
class Contender:
    """`run` does the work once; `answer`, called before, gives what is to be the same for all contenders."""

    run: Callable[[], object]
    answer: Callable[[], Answer]


@dataclass
class Result:
    """What the rounds gave: seconds of each contender, the peak, and the work of one call.

    `info` holds what is true of all contenders, `each` what else was found of every one.
    """

    seconds: Mapping[str, np.ndarray]
    peak: np.ndarray | None = None
    flops: float = 0.0
    info: dict[str, Any] = field(default_factory=dict)
    each: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def ratios(self, name: str) -> np.ndarray:
        """How many times as long as ours, by round."""
        return self.seconds[name] / self.seconds[OURS]

    def extra_info(self, name: str) -> dict[str, Any]:
        """What goes beside the times of contender `name`."""
        info: dict[str, Any] = {**self.info, **self.each.get(name, {})}
        info["rounds"] = len(self.seconds[name])
        info["ratio"], info["ratio_95"] = median_interval(self.ratios(name))
        if self.flops:
            speed = self.flops / self.seconds[name] * 1e-9
            info["gflops"] = float(np.median(speed))
            if self.peak is not None:
                info["peak_gflops"] = float(np.median(self.peak))
                info["share_of_peak"], info["share_95"] = median_interval(speed / self.peak)
        return info


def median_interval(values: np.ndarray) -> tuple[float, tuple[float, float]]:
    """The median, and the 95 % interval of a percentile bootstrap of it (Efron 1979)."""
    draw = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(np.median(values[draw], axis=1), [2.5, 97.5])
    return float(np.median(values)), (float(low), float(high))


def measure_turns(
    turns: Mapping[str, Turn], *, flops: float = 0.0, dtype: str = "float32", once: bool = False
) -> Result:
    """Run rounds of `turns`, and of the FMA peak where there are FLOPs to compare with it."""
    threads = _core.get_num_threads()
    rounds = 1 if once else MOST_ROUNDS
    probes: dict[str, Turn] = dict(turns)
    if flops:
        probes["peak"] = lambda: _core.fma_peak(dtype, threads)
    found = interleave(probes, rounds, seconds=SECONDS, least=LEAST_ROUNDS)
    info = {"threads": threads, "isa": _core.isa(), "dtype": dtype}
    return Result(found, found.pop("peak", None), flops, info)


def compare(
    contenders: Mapping[str, Contender],
    *,
    flops: float = 0.0,
    dtype: str = "float32",
    tolerance: float = TOLERANCE,
    once: bool = False,
) -> Result:
    """Assert that all contenders give the same answer, then measure them."""
    equal_threads()
    want = contenders[OURS].answer()
    for name, contender in contenders.items():
        if name != OURS:
            check_equal(want, contender.answer(), tolerance)
    least = 0.0 if once else 0.02
    turns = {name: timed(contender.run, least) for name, contender in contenders.items()}
    return measure_turns(turns, flops=flops, dtype=dtype, once=once)


def equal_threads() -> int:
    """The same number of threads for us and for torch: all cores, or FASTRNN_BENCH_THREADS."""
    return set_threads(THREADS, sys.modules.get("torch"))


def geometric_mean(values: Iterable[float]) -> float:
    """exp(mean(log))."""
    return float(np.exp(np.mean(np.log(list(values)))))


class Clock:
    """A timer that stands still but for `advance`: pytest-benchmark then tables what the rounds measured.

    It can time one contender after the other only. So the rounds run first, and each contender's test plays
    its own times back.
    """

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now

    def rewind(self) -> None:
        """Back to zero, so that a difference of two times is exact."""
        self.now = 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


clock = Clock()


def play_back(benchmark: Any, seconds: np.ndarray) -> None:
    """Give a benchmark fixture these times, one for each round."""
    times = iter(seconds.tolist())
    benchmark.pedantic(lambda: clock.advance(next(times)), setup=clock.rewind, rounds=len(seconds))
