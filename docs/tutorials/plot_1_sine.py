"""
A network that goes on with a wave
==================================

An LSTM and a linear layer learn the next number of a noisy sum of two waves, and then go on by themselves.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastrnn
from fastrnn import losses, optim

# %%
# The data: 16 pieces of the wave, [T, B, 1], and as targets the same one step later.

rng = np.random.default_rng(0)
t = np.arange(1200) / 6
wave = (np.sin(t) + 0.5 * np.sin(2.7 * t)).astype(np.float32)
starts = rng.integers(0, 900, 16)
x = np.stack([wave[s : s + 120] for s in starts], axis=1)[..., None]
noisy = x + 0.05 * rng.standard_normal(x.shape, np.float32)

# %%
# A model joined to its loss gives gradients; an optimiser clips, updates and sets them to zero.

model = fastrnn.Sequential(fastrnn.LSTM(1, 32, seed=0), fastrnn.Linear(32, 1, seed=1))
f = fastrnn.value_and_grad(model, losses.MSE())
adam = optim.Adam(f, lr=1e-2)
history = []
for _ in range(150):
    loss, _ = f(noisy[:-1], np.ascontiguousarray(x[1:]))
    adam.step(max_norm=1.0)
    history.append(loss)
assert history[-1] < 0.02, history[-1]

# %%
# The state after 120 true numbers, then 120 of its own.

y, state = model(wave[900:1020, None, None])
own = [y[-1]]
for _ in range(119):
    y, state = model(own[-1][None], state)
    own.append(y[0])
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
left.semilogy(history)
left.set(xlabel="step", ylabel="loss")
right.plot(wave[1020:1140], label="the wave")
right.plot(np.ravel(own), label="the network")
right.legend()
