"""Contenders timed side by side: turns, in rounds of random order."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping

import numpy as np

from fastrnn._typing import Array

Turn = Callable[[], float]  # does the work, gives seconds, or whatever else is measured

LEAST = 0.02  # seconds of a turn: a thousand times what starting a clock and a team of threads takes


def timed(run: Callable[[], object], least: float = LEAST) -> Turn:
    """Make a turn: a call that is not timed, then as many as take `least` seconds; gives seconds a call.

    The first call brings back caches, and lets the threads that another library keeps spinning go to sleep.
    """
    run()
    quickest = math.inf
    for _ in range(3):
        start = time.perf_counter()
        run()
        quickest = min(quickest, time.perf_counter() - start)
    number = max(1, math.ceil(least / max(quickest, 1e-7)))

    def turn() -> float:
        run()
        start = time.perf_counter()
        for _ in range(number):
            run()
        return (time.perf_counter() - start) / number

    return turn


def interleave(
    turns: Mapping[str, Turn], rounds: int, *, seconds: float = math.inf, least: int = 5
) -> dict[str, Array]:
    """Give every turn once in each round, in random order; what each gave, [rounds].

    Goes on for `rounds` rounds, or until `seconds` are over and at least `least` rounds are done.
    """
    order, shuffle, end = list(turns), random.Random(0).shuffle, time.perf_counter() + seconds
    found: dict[str, list[float]] = {name: [] for name in turns}
    for done in range(rounds):
        if done >= least and time.perf_counter() > end:
            break
        shuffle(order)
        for name in order:
            found[name].append(turns[name]())
    return {name: np.array(values) for name, values in found.items()}
