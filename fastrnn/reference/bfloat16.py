"""Products whose operands are rounded to bfloat16. Mirror of ``csrc/kernels/bfloat16.h``.

bfloat16 has float32's exponent and 8 bits of significand. Operands are rounded to the nearest, of two the
even one; sums are float32, in the order of the instruction VDPBF16PS: pairs along the depth, the odd number
of a pair before the even one, each product exact and each sum rounded. An odd depth ends with a zero.
TDPBF16PS, the instruction of AMX, sums `block` = 16 pairs apart: see `multiply`.
"""

from __future__ import annotations

import numpy as np

from ._types import Array

#: So many pairs of a depth, from its begin on, are summed apart: 1 is VDPBF16PS, 16 TDPBF16PS.
block = 1


def rounded(a: Array) -> Array:
    """The nearest bfloat16 of each number, as float32; NaN stays NaN, what is too large is infinite."""
    with np.errstate(over="ignore"):
        bits = np.ascontiguousarray(a, np.float32).view(np.uint32)
    near = (bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    nan = (bits | np.uint32(0x400000)) & np.uint32(0xFFFF0000)
    return np.asarray(np.where(np.isnan(a), nan, near)).view(np.float32).reshape(np.shape(a))


def multiply(a: Array, b: Array, start: Array | None = None, order: tuple[int, int] = (1, 0)) -> Array:
    """``start + a b`` for a [..., K] and b [K, N], in the dtype of a; `start` is zero, or like the result.

    Blocks of more than one pair have a sum of their even numbers and one of their odd ones, each from zero;
    what both give together is added to what there was.
    """
    shape = (*a.shape[:-1], b.shape[1])
    left, right = rounded(a), rounded(b)
    total = np.zeros(shape, np.float32)
    if start is not None:
        total += start.astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        for begin in range(0, a.shape[-1], 2 * block):
            sums = (total, total) if block == 1 else (np.zeros_like(total), np.zeros_like(total))
            for first in range(begin, min(begin + 2 * block, a.shape[-1]), 2):
                for half in order:
                    if first + half < a.shape[-1]:
                        sums[half][...] += left[..., first + half, None] * right[first + half]
            if block > 1:
                total += sums[0] + sums[1]
    return np.asarray(total.astype(a.dtype))


def paired(rows: Array) -> Array:
    """Rows [T, B, N] as a weight gradient takes them: steps descending, each in whole blocks of pairs."""
    steps, batch, width = rows.shape
    full = np.zeros((steps, batch + -batch % (2 * block), width), rows.dtype)
    full[:, :batch] = rows[::-1]
    return full.reshape(-1, width)
