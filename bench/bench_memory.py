"""Memory of the language models' training step: ours at most half of PyTorch's, and none new when steady.

Of truncated back-propagation: it follows k2, whatever T.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench_lm import SHAPES
from conftest import Paired
from language_models import MODELS
from paired import OURS, Result
from resident_memory import REFS

from fastrnn._timing import interleave

SCRIPT = Path(__file__).with_name("memory_of_step.py")
ROUNDS = 3
# Python's own objects may take a page now and then; the arrays of one step would take hundreds.
MOST_FAULTS = 4

pytestmark = pytest.mark.skipif(not REFS.exists(), reason="/proc/self/clear_refs sets the peak back: Linux")


def measure(shape: str, once: bool) -> Result:
    """Each contender alone in its process, in random order."""
    config, rows, steps = SHAPES[shape]
    reports: dict[str, list[dict[str, Any]]] = {name: [] for name in MODELS}

    def turn(name: str) -> float:
        arguments = [name, config.vocabulary, config.hidden, rows, steps]
        command = [sys.executable, str(SCRIPT), *map(str, arguments)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        reports[name].append(found)
        return float(found["seconds"])

    turns = {name: lambda name=name: turn(name) for name in MODELS}
    seconds = interleave(turns, 1 if once else ROUNDS)
    each = {name: {key: max(r[key] for r in found) for key in found[0]} for name, found in reports.items()}
    return Result(seconds, each=each)


@pytest.mark.parametrize("contender", [OURS, "torch"])
@pytest.mark.parametrize("shape", SHAPES)
def test_memory(paired: Paired, torch: Any, once: bool, shape: str, contender: str) -> None:
    result = paired(f"memory of a step: {shape}", contender, lambda: measure(shape, once))
    ours, theirs = result.each[OURS], result.each["torch"]
    assert ours["growth"] <= 0.5 * theirs["growth"]
    assert ours["steady_growth"] <= 1.02 * ours["growth"]
    assert ours["system_allocations"] == 0
    assert ours["faults_per_step"] <= MOST_FAULTS


def test_tbptt() -> None:
    script = SCRIPT.with_name("memory_of_tbptt.py")
    few, many = (
        int(subprocess.run([sys.executable, script, str(steps)], check=True, capture_output=True).stdout)
        for steps in (1_000, 100_000)
    )
    print(f"resident peak of tbptt=(50, 100): {few:,} bytes for T = 1,000, {many:,} for T = 100,000")
    assert many <= 1.1 * few + 2**18  # Python's own objects take a page now and then
