"""How much memory truncated back-propagation takes: a script, alone in its process.

``python memory_of_tbptt.py T`` prints bytes by which the peak of the resident set grows, from the point where
input, targets, parameters and gradients exist, in a call over T steps with tbptt=(50, 100).
"""

from __future__ import annotations

import sys

import numpy as np
from resident_memory import REFS, resident

import fastrnn

B, I, H, V = 8, 32, 128, 64


def main(steps: int) -> None:
    """One call to load code and start threads, then the one that is measured."""
    layer = fastrnn.LSTM(I, H, seed=1)
    head = fastrnn.losses.LinearCrossEntropy(H, V, seed=2)
    f = fastrnn.value_and_grad(layer, head, tbptt=(50, 100))
    rng = np.random.default_rng(1)
    x, targets = rng.standard_normal((steps, B, I), np.float32), rng.integers(0, V, (steps, B))
    f(x[:300], targets[:300])
    f.zero_grad()
    fastrnn.clear_cache()
    REFS.write_text("5")  # sets VmHWM to VmRSS
    before = resident("VmRSS")
    f(x, targets)
    print(resident("VmHWM") - before)


if __name__ == "__main__":
    main(int(sys.argv[1]))
