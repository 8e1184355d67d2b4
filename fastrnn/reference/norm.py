"""Layer normalisation of what a product gives, gate by gate. Mirror of ``csrc/kernels/norm.h``.

Source: Ba, Kiros and Hinton 2016 (arXiv:1607.06450). ``x^ = (x - mean) / sqrt(variance + 1e-5)`` over all
units of a group of gates, for each row; the variance is the mean of the squares about the mean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._types import Array
from .linear import linear, linear_backward

EPSILON = 1e-5

Groups = tuple[tuple[int, ...], ...]
ALONE: Groups = ((0,),)


def normalise(x: Array, groups: Groups = ALONE) -> tuple[Array, Array]:
    """x [..., gates*H] to (x^, 1 / deviation), both like x; the gates of a group are one set of numbers."""
    blocks = _blocks(x, groups)
    normal, inverse = np.empty_like(blocks), np.empty_like(blocks)
    for group in map(list, groups):
        part = blocks[:, group]
        centred = part - _mean(part)
        scale = 1 / np.sqrt(_mean(centred * centred) + EPSILON)
        normal[:, group], inverse[:, group] = centred * scale, scale
    return normal.reshape(x.shape), inverse.reshape(x.shape)


def normalise_backward(d: Array, normal: Array, inverse: Array, groups: Groups = ALONE) -> Array:
    """Gradient by x^ to gradient by x, given what `normalise` gave."""
    by_normal, normal, inverse = (_blocks(a, groups) for a in (d, normal, inverse))
    found = np.empty_like(by_normal)
    for group in map(list, groups):
        part, x = by_normal[:, group], normal[:, group]
        found[:, group] = (part - _mean(part) - x * _mean(part * x)) * inverse[:, group]
    return found.reshape(d.shape)


def _blocks(a: Array, groups: Groups) -> Array:
    return a.reshape(-1, sum(map(len, groups)), a.shape[-1] // sum(map(len, groups)))


def _mean(a: Array) -> Array:
    total = np.add.reduce(a, axis=(1, 2), keepdims=True)  # a.mean takes five times as long for small arrays
    return np.asarray(total / (a.shape[1] * a.shape[2]))


class Gradients(NamedTuple):
    """Gradients of `affine`; `bias` is given whether there is one or not, `gain` only with `groups`."""

    x: Array
    weight: Array
    bias: Array
    gain: Array | None


def affine(
    x: Array, weight: Array, bias: Array | None, gain: Array | None, groups: Groups, bfloat16: bool = False
) -> Array:
    """``x W' + b``; with `groups`, ``gain (x W')^ + b``."""
    if not groups:
        return linear(x, weight, bias, bfloat16)
    assert gain is not None
    y = gain * normalise(linear(x, weight, None, bfloat16), groups)[0]
    return y if bias is None else y + bias


def by_product(
    dy: Array, x: Array, weight: Array, gain: Array | None, groups: Groups, bfloat16: bool = False
) -> tuple[Array, Array | None]:
    """Gradient by the product x W' that `affine` forms, and with `groups` what it is normalised."""
    if not groups:
        return dy, None
    assert gain is not None
    normal, inverse = normalise(linear(x, weight, None, bfloat16), groups)
    return normalise_backward(dy * gain, normal, inverse, groups), normal


def affine_backward(
    dy: Array, x: Array, weight: Array, gain: Array | None, groups: Groups, bfloat16: bool = False
) -> Gradients:
    """Gradients of ``<dy, affine(x)>``."""
    d, normal = by_product(dy, x, weight, gain, groups, bfloat16)
    found = linear_backward(d, x, weight, bfloat16)
    if normal is None:
        return Gradients(*found, None)
    rows = range(dy.ndim - 1)
    return Gradients(found.x, found.weight, *(a.sum(axis=tuple(rows)) for a in (dy, dy * normal)))
