"""States of which there are some versions, each held for some steps. Mirror of ``csrc/kernels/hold.h``."""

from __future__ import annotations

import numpy as np

from ._types import Array


def forward(versions: Array, of: Array) -> Array:
    """Give what each step holds, [T, B, H], of versions [V, B, H] and which of them it is, [T]."""
    return versions[of]


def backward(d: Array, of: Array, count: int) -> Array:
    """Sum the gradients by the steps that hold a version, from the last one on: [V, B, H]."""
    found = np.zeros((count, *d.shape[1:]), d.dtype)
    for t in reversed(range(len(of))):
        found[of[t]] += d[t]
    return found
