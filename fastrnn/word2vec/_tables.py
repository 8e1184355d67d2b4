"""Rows of float32 as the kernels want them: padded to 64 bytes, aligned to 64 bytes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
File = str | os.PathLike[str] | None  # that rows are kept in, mapped into memory

_LANES = 16  # floats in 64 bytes
_DRAWN = 512  # rows drawn together, for they are there twice
_WORD = 2**64 - 1


class Table:
    """A [rows, columns] array inside of padded rows, whose padding is zero.

    Attributes
    ----------
    padded : ndarray of float32, shape (rows, columns rounded up to 16)
    rows : ndarray of float32, shape (rows, columns)
        A view of it.
    mapped : bool
        Whether rows are those of a file, read-only and without padding: nothing that kernels could train.
    """

    mapped = False

    def __init__(self, values: Floats) -> None:
        self._allocate(*values.shape)
        self.rows[:] = values

    @classmethod
    def zeros(cls, count: int, columns: int, file: File = None) -> Table:
        """Rows of zeros, which take no memory before they are written."""
        table = cls.__new__(cls)
        table._allocate(count, columns, file)
        return table

    @classmethod
    def of_file(cls, values: Floats) -> Table:
        """Rows that stay where they are."""
        table = cls.__new__(cls)
        table.padded = table.rows = values
        table.mapped = True
        return table

    def _allocate(self, count: int, columns: int, file: File = None) -> None:
        stride = -(-columns // _LANES) * _LANES
        floats = count * stride + _LANES
        memory: Floats = (
            np.zeros(floats, np.float32) if file is None else np.memmap(file, "f4", "w+", shape=floats)
        )
        first = -memory.ctypes.data % 64 // 4
        self.padded = memory[first : first + count * stride].reshape(count, stride)
        self.rows = self.padded[:, :columns]

    def __reduce__(self) -> Any:
        """Copies have memory of their own, aligned as it has to be."""
        return Table, (np.array(self.rows),)

    def holds(self, values: Floats) -> bool:
        """Whether `values` is `rows`, and not an array that somebody put in its place."""
        same = values.shape == self.rows.shape and values.strides == self.rows.strides
        return same and values.ctypes.data == self.rows.ctypes.data


@dataclass
class Tables:
    """What is trained: vectors of words, of n-grams or documents, and what they are scored against."""

    input: Table
    output: Table | None
    nodes: Table | None
    more: Table | None = None


def lock_factors(values: Any) -> Floats | None:
    """Factors on updates as the kernels want them; None: all are 1."""
    factors = np.ascontiguousarray(values, np.float32)
    return None if (factors == 1).all() else factors


def row_bytes(columns: int) -> int:
    """Return the bytes of a row of so many numbers."""
    return -(-columns // _LANES) * _LANES * 4


def initial_vectors(count: int, size: int, seed: int, compat: str, file: File = None) -> Table:
    """Vectors to begin with, independent and uniform.

    Parameters
    ----------
    count, size, seed : int
    compat : {"gensim", "word2vec"}
        In [-1/size, 1/size), the same numbers as gensim 4; or in [-0.5/size, 0.5/size), as word2vec.c has it.
    file : path, optional
        Where the rows are kept, mapped into memory; what it was is gone.
    """
    generator = np.random.default_rng(seed)
    table = Table.zeros(count, size, file)
    for first in range(0, count, _DRAWN):
        rows = table.rows[first : first + _DRAWN]
        rows[:] = generator.random(rows.shape, np.float32)
        if compat == "gensim":
            rows *= 2.0
            rows -= 1.0
        else:
            rows -= 0.5
        rows /= size
    return table


def epoch_key(seed: int, epoch: int) -> int:
    """The key of all random numbers of an epoch."""
    return _draw64(_draw64(0, seed), epoch)


def _draw64(key: int, index: int) -> int:
    """Number `index` of stream `key`: draw64 of csrc/base/rng.h."""
    z = key + (index + 1) * 0x9E3779B97F4A7C15 & _WORD
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _WORD
    return z ^ z >> 31
