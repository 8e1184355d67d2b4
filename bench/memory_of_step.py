"""How much memory a training step takes: a script for one contender, alone in its process.

``python memory_of_step.py fastrnn V H B T`` prints JSON: bytes by which the peak of the resident set grows
from the point where parameters, gradients and optimiser state exist; then, for steps in the steady state,
page faults and system allocations of each, and seconds.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time

import numpy as np
from language_models import MODELS, Config, batches
from paired import equal_threads
from resident_memory import REFS, resident

import fastrnn

WARM, STEADY = 4, 16


def main(name: str, vocabulary: int, hidden: int, rows: int, steps: int) -> None:
    """Run the steps."""
    small = MODELS[name](Config(50, 16))  # loads code and starts threads: neither belongs to the step
    equal_threads()
    for chunk in batches(Config(50, 16), 2, 3, 3):
        small.step(*small.prepare(*chunk), 0.25)
    config = Config(vocabulary, hidden)
    model = MODELS[name](config)
    chunks = [model.prepare(*chunk) for chunk in batches(config, rows, steps, WARM + STEADY)]
    model.touch_memory()
    gc.collect()
    REFS.write_text("5")  # sets VmHWM to VmRSS
    before = resident("VmRSS")
    for chunk in chunks[:WARM]:
        model.step(*chunk, 0.25)
    growth = resident("VmHWM") - before
    faults, allocations = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, allocated()
    seconds = []
    for chunk in chunks[WARM:]:
        start = time.perf_counter()
        model.step(*chunk, 0.25)
        seconds.append(time.perf_counter() - start)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    report = {
        "growth": growth,
        "steady_growth": resident("VmHWM") - before,
        "faults_per_step": faults / STEADY,
        "system_allocations": allocated() - allocations,
        "seconds": float(np.median(seconds)),
    }
    print(json.dumps(report))


def allocated() -> int:
    """Blocks that fastrnn has asked of the system."""
    return fastrnn.cache_info()["system_allocations"]


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
