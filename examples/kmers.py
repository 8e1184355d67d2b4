"""Vectors of DNA k-mers: python kmers.py [--sequences N] [--length L] [-k K].

Two kinds of sequences, from Markov chains of second order that differ a little. Their overlapping k-mers are
integers, so no string is ever made. A sequence is the mean of its k-mers, and a centroid for each kind, from
half of the sequences, tells the other half apart.
"""

import argparse

import numpy as np

from fastrnn import Word2Vec

arguments = argparse.ArgumentParser(description="Train vectors of k-mers.")
arguments.add_argument("--sequences", type=int, default=400)
arguments.add_argument("--length", type=int, default=500)
arguments.add_argument("-k", type=int, default=5)
options = arguments.parse_args()
N, K = options.sequences, options.k

draw = np.random.default_rng(0)
common = draw.dirichlet([4] * 4, 16)  # p(base | the two before)
chains = np.stack([0.7 * common + 0.3 * draw.dirichlet([1] * 4, 16) for _ in range(2)]).cumsum(axis=-1)
kind = np.arange(N) % 2
bases = draw.integers(0, 4, (N, options.length))
for i in range(2, options.length):
    before = 4 * bases[:, i - 2] + bases[:, i - 1]
    bases[:, i] = (draw.random(N)[:, None] > chains[kind, before, :3]).sum(axis=1)
windows = np.lib.stride_tricks.sliding_window_view(bases, K, axis=1)
kmers = windows @ 4 ** np.arange(K)[::-1]  # [sequence, place]

model = Word2Vec(kmers, vector_size=32, window=10, sg=1, sample=0)
vectors = np.zeros((4**K, 32))
vectors[model.wv.index_to_key] = model.wv.vectors
means = vectors[kmers].mean(axis=1)
train, test = np.arange(N) < N // 2, np.arange(N) >= N // 2
centroids = np.stack([means[train & (kind == c)].mean(axis=0) for c in range(2)])
distance = ((means[test][:, None] - centroids) ** 2).sum(axis=-1)
right = (distance.argmin(axis=1) == kind[test]).mean()
print(f"{len(model.wv)} k-mers, {right:.3f} of the held-out sequences are told apart")
