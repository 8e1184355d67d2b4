"""Counter-based generators: Philox4x32-10 and SplitMix64. Mirror of ``csrc/base/rng.h``.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011; Steele, Lea,
Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)


def philox(key: int, counter_lo: npt.ArrayLike, counter_hi: npt.ArrayLike) -> Words:
    """Four 32-bit random words for each counter.

    Parameters
    ----------
    key : int
        64 bits; the low half is the first key word.
    counter_lo, counter_hi : array_like of uint64
        The two halves of the 128-bit counter; they broadcast against each other.

    Returns
    -------
    ndarray of uint64, shape (..., 4)
        Words in ``[0, 2**32)``.
    """
    lo, hi = np.broadcast_arrays(np.asarray(counter_lo, np.uint64), np.asarray(counter_hi, np.uint64))
    c0, c1, c2, c3 = lo & _LOW, lo >> _SHIFT, hi & _LOW, hi >> _SHIFT
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1 = (p1 >> _SHIFT) ^ c1 ^ np.uint64(k0), p1 & _LOW
        c2, c3 = (p0 >> _SHIFT) ^ c3 ^ np.uint64(k1), p0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=-1)


def draw64(key: int, index: npt.ArrayLike) -> Words:
    """Numbers `index` of stream `key`: 64 random bits each, in the shape of `index`."""
    z = np.array(index, np.uint64, ndmin=1) + np.uint64(1)
    z = np.uint64(key) + z * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))).reshape(np.shape(index))
