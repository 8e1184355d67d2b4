"""One LSTM, GRU or RNN layer against torch.nn: forward, and the training step (forward and all gradients).

With a lower instruction set forced, the share of the peak is of the peak of that set; PyTorch keeps its own.
"""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Paired
from paired import OURS, Contender, Result, compare

from fastrnn import _core
from fastrnn._bench import KINDS, Ours, Shape, Torch

SHAPES = [
    Shape(64, 1, 128, 128),
    Shape(64, 8, 128, 128),
    Shape(64, 32, 64, 64),
    Shape(64, 32, 128, 128),
    Shape(64, 32, 256, 256),
    Shape(35, 20, 200, 200),
    Shape(35, 20, 650, 650),
    Shape(64, 32, 512, 512),
    Shape(64, 64, 1024, 1024),
    Shape(256, 16, 128, 128),
    Shape(128, 128, 256, 256),
    # Odd in everything; more inputs than units; more units than inputs; one step of many rows.
    Shape(37, 13, 77, 111),
    Shape(50, 7, 300, 75),
    Shape(50, 24, 40, 301),
    Shape(1, 512, 128, 128),
    Shape(500, 3, 33, 65),
]
# Without fma there is no peak of them; a name with a suffix shares the kernels of the one without.
FUSED = [name for name in _core.available_isas() if name != "sse4" and "_" not in name]


def measure(kind: str, shape: Shape, run: str, dtype: str, once: bool) -> Result:
    """Both contenders on one shape."""
    ours = Ours(kind, shape, dtype)
    theirs = Torch(ours)
    contenders = {
        OURS: Contender(getattr(ours, run), ours.answer),
        "torch": Contender(getattr(theirs, run), theirs.answer),
    }
    return compare(contenders, flops=shape.flops(run, ours.layer.gates), dtype=dtype, once=once)


@pytest.mark.parametrize("contender", [OURS, "torch"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("run", ["training", "forward"])
@pytest.mark.parametrize("isa", FUSED, indirect=True)
@pytest.mark.parametrize("kind", KINDS)
def test_layer(
    paired: Paired, torch: Any, once: bool, kind: str, isa: str, run: str, shape: Shape, contender: str
) -> None:
    paired(f"{kind} {run} {isa}: {shape}", contender, lambda: measure(kind, shape, run, "float32", once))


@pytest.mark.parametrize("contender", [OURS, "torch"])
@pytest.mark.parametrize("run", ["training", "forward"])
@pytest.mark.parametrize("kind", KINDS)
def test_float64(paired: Paired, torch: Any, once: bool, kind: str, run: str, contender: str) -> None:
    shape = Shape(64, 32, 256, 256)
    paired(f"{kind} {run} float64: {shape}", contender, lambda: measure(kind, shape, run, "float64", once))
