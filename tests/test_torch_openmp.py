"""One OpenMP runtime in a process, whichever of torch and fastrnn is imported first."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

pytestmark = pytest.mark.peer

CODE = """
import {first}, {second}
import numpy as np, torch, fastrnn
torch.set_num_threads(2); fastrnn.set_num_threads(2)
torch.randn(64, 64) @ torch.randn(64, 64)
torch.sin(torch.randn(1 << 20))
fastrnn.LSTM(64, 64, seed=0)(np.ones((20, 32, 64), np.float32))
found = set(line.split()[-1] for line in open("/proc/self/maps") if "omp" in line.split("/")[-1].lower())
print(*sorted(found))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("first", ["torch", "fastrnn", "fastrnn.torch"])
def test_one_runtime(torch: ModuleType, first: str) -> None:
    import fastrnn

    if not fastrnn.openmp():
        pytest.fail("a build without OpenMP has none of its own")
    second = "torch" if first == "fastrnn" else "fastrnn"
    code = CODE.format(first=first, second=second)
    done = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True)
    found = done.stdout.split()
    assert len([path for path in found if "libgomp" in path]) == 1, found
    assert not [path for path in found if "libomp" in path or "libiomp" in path], found
