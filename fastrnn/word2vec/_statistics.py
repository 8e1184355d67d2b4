"""Correlations with their p-values; SciPy's numbers without SciPy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fastrnn._typing import Array


class Correlation(NamedTuple):
    """A coefficient, and the chance of one at least as far from zero between independent normal variables."""

    statistic: float
    pvalue: float


def pearson(x: Array, y: Array) -> Correlation:
    """Correlate x and y, [N] each, N >= 2; NaN where one of them is constant."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    count = len(x)
    x, y = x - x.mean(), y - y.mean()
    length = np.sqrt(x @ x) * np.sqrt(y @ y)
    if count < 2 or not length > 0:
        return Correlation(math.nan, math.nan)
    r = float(np.clip(x @ y / length, -1, 1))
    return Correlation(r, 1.0 if count == 2 else _pvalue(r, count))


def spearman(x: Array, y: Array) -> Correlation:
    """Correlate the ranks of x and y; equal values share the mean of their ranks."""
    if np.isnan(x).any() or np.isnan(y).any():
        return Correlation(math.nan, math.nan)
    r = pearson(ranks(x), ranks(y)).statistic
    return Correlation(r, _pvalue(r, len(x)) if len(x) > 2 else math.nan)


def ranks(x: Array) -> Array:
    """Return ranks 1 to N; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    found: Array = (last - (counts - 1) / 2)[inverse]
    return found


def _pvalue(r: float, count: int) -> float:
    """Two-sided: t = r sqrt((n - 2) / (1 - r^2)) has Student's distribution with n - 2 degrees of freedom."""
    if math.isnan(r):
        return math.nan
    return incomplete_beta((count - 2) / 2, 0.5, (1 - r) * (1 + r))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """
    Return the regularised incomplete beta function I_x(a, b) for 0 <= x <= 1.

    By the continued fraction of the Digital Library of Mathematical Functions, 8.17.22, with Lentz's method.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly
        return 1 - incomplete_beta(b, a, 1 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    result = d
    for m in range(1, 10_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + term * d or tiny)
            c = 1 + term / c or tiny
            result *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return math.exp(log_front) / a * result
