"""One step of word2vec. Mirror of ``csrc/kernels/word2vec.h``.

m inputs x against n outputs o, each with a label: 1 for a word that is there, 0 for noise (Mikolov et al.
2013).
"""

from __future__ import annotations

import numpy as np

from . import math
from ._types import Array

GROUP = 6  # most outputs of a step


def score(x: Array, o: Array) -> Array:
    """Products of all inputs [m, d] with all outputs [n, d]: [m, n]."""
    return x @ o.T


def errors(scores: Array, labels: Array, rate: Array | float) -> Array:
    """``rate (label - sigmoid(score))``: minus the derivative of the loss by the score, times the rate."""
    return np.asarray(rate * (labels - math.sigmoid(scores)))


def negative_log_likelihood(scores: Array, labels: Array, weights: Array | float = 1) -> Array:
    """Weighted sum of ``log(1 + exp(-s))`` where the label is 1, and of ``log(1 + exp(s))`` where it is 0."""
    z = scores * (1 - 2 * labels)
    size = np.where(z.real < 0, -z, z)
    return np.asarray((weights * (np.where(z.real < 0, 0, z) + np.log1p(np.exp(-size)))).sum())


def apply(x: Array, o: Array, g: Array) -> tuple[Array, Array]:
    """What a step adds to the inputs and to the outputs, errors g being [m, n]."""
    return g @ o, g.T @ x
