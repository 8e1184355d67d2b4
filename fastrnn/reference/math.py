"""exp, sigmoid and tanh. Mirror of ``csrc/kernels/math.h``, where they are polynomials."""

from __future__ import annotations

import numpy as np

from ._types import Array


def exp(x: Array) -> Array:
    """Natural exponential, elementwise."""
    return np.asarray(np.exp(x))


def sigmoid(x: Array) -> Array:
    """Logistic function ``1 / (1 + exp(-x))``, elementwise, accurate in both tails.

    The exponential is always taken of an argument whose real part is at most zero, so it cannot overflow, and
    for ``x < 0`` the form ``e / (1 + e)`` keeps the relative precision of the small result.
    """
    right = np.real(x) >= 0
    e = np.exp(np.where(right, -x, x))
    return np.asarray(np.where(right, 1, e) / (1 + e))


def tanh(x: Array) -> Array:
    """Hyperbolic tangent, elementwise."""
    return np.asarray(np.tanh(x))
