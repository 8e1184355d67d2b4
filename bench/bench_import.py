"""`import fastrnn` beside `import numpy`, each in a fresh process, timed inside it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from conftest import Paired
from paired import OURS, Result, measure_turns

CODE = """
from time import perf_counter
start = perf_counter()
import {0}
seconds = perf_counter() - start
import numpy
print(seconds, numpy.__version__)
"""


def turn(name: str) -> float:
    """Seconds of the import statement."""
    command = [sys.executable, "-I", "-c", CODE.format(name)]
    seconds, version = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert version == np.__version__
    return float(seconds)


def measure(once: bool) -> Result:
    """Both, after a run that brings the files into memory."""
    turns = {name: lambda name=name: turn(name) for name in (OURS, "numpy")}
    for run in turns.values():
        run()
    return measure_turns(turns, once=once)


@pytest.mark.parametrize("contender", [OURS, "numpy"])
def test_import(paired: Paired, once: bool, contender: str) -> None:
    paired("import: fastrnn beside numpy", contender, lambda: measure(once))
