"""Keys for random masks: 64-bit numbers, derived and never drawn, so that a resumed run repeats them."""

from __future__ import annotations

_MASK = 0xFFFFFFFFFFFFFFFF


def fold(key: int, *indices: int) -> int:
    """Derive a 64-bit key from another one and any number of indices, such as a step or the place of a layer.

    Each index i replaces the key k by the splitmix64 output function of k + (i + 1) * 0x9E3779B97F4A7C15, a
    bijection of k for every i, so two keys that differ stay different, and so do two indices under one key.

    Parameters
    ----------
    key : int
        Any integer; taken modulo 2**64.
    *indices : int
        Any integers; taken modulo 2**64.

    Returns
    -------
    int
        In [0, 2**64).

    References
    ----------
    Steele, Lea, Flood: Fast splittable pseudorandom number generators. OOPSLA 2014.
    """
    key &= _MASK
    for index in indices:
        key = (key + (index + 1) * 0x9E3779B97F4A7C15) & _MASK
        key = ((key ^ (key >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        key = ((key ^ (key >> 27)) * 0x94D049BB133111EB) & _MASK
        key ^= key >> 31
    return key
