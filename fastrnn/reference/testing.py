"""Derivatives by complex step: exact to rounding, with no step size to tune.

Source: Squire & Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 1998.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._types import Array

# Its square is far below the rounding of any value met, and a power of two divides out exactly.
STEP = 2.0**-200


def complex_step(f: Callable[[Array], Any], x: Array, direction: Array) -> Array:
    """Derivative of `f` at real `x` along `direction`: ``Im f(x + i h direction) / h``.

    Parameters
    ----------
    f : callable
        Takes a complex array of the shape of x, returns a complex array or scalar; analytic near x.
    x, direction : ndarray of float64, equal shapes

    Returns
    -------
    ndarray
        The shape of the value of `f`.
    """
    return np.asarray(np.imag(f(x + 1j * (STEP * direction))) / STEP)


def complex_gradient(f: Callable[[Array], Any], x: Array) -> Array:
    """Gradient of the scalar function `f` at `x`, one element at a time."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        direction = np.zeros(x.shape)
        direction[index] = 1
        gradient[index] = complex_step(f, x, direction)
    return gradient
