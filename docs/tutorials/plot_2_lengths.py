"""
Rows of unlike lengths
======================

Which half of a sequence has more ones? A GRU in both directions reads rows of 1 to 40 numbers, without work
for what is not there.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastrnn
from fastrnn import losses, optim

rng = np.random.default_rng(0)


def batch(rows):
    """Padded rows [T, B, 1], their lengths, and the class of each."""
    lengths = rng.integers(1, 41, rows)
    bits = rng.integers(0, 2, (40, rows)) * (np.arange(40)[:, None] < lengths)
    first = np.where(np.arange(40)[:, None] < lengths // 2, bits, 0).sum(0)
    return bits[..., None].astype(np.float32), lengths, (2 * first > bits.sum(0)).astype(np.int64)


# %%
# ``Pool`` is the mean over the steps that are there; ``LinearCrossEntropy`` is the last layer and the loss.

body = fastrnn.Sequential(fastrnn.GRU(1, 24, bidirectional=True, seed=0), fastrnn.Pool("mean"))
f = fastrnn.value_and_grad(body, losses.LinearCrossEntropy(48, 2, seed=1))
adam = optim.Adam(f, lr=1e-2)
history = []
for _ in range(200):
    x, lengths, classes = batch(64)
    loss, _ = f(x, classes, lengths=lengths)
    adam.step(max_norm=1.0)
    history.append(loss)

# %%
# The loss falls from that of a guess, log 2.

plt.plot(history)
plt.axhline(np.log(2), linestyle=":")
plt.xlabel("step")
plt.ylabel("loss")
assert np.mean(history[-20:]) < 0.45
