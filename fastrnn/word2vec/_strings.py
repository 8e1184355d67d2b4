"""Many strings in one piece of memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt


class Strings(Sequence[str]):
    """Strings as their UTF-8, one after the other: a fifth of what a list of Python's takes.

    Parameters
    ----------
    text : bytes
    ends : ndarray of int64
        Where each string ends in `text`.
    """

    def __init__(self, text: bytes, ends: npt.NDArray[np.int64]) -> None:
        self.text = text
        self.ends = ends

    @classmethod
    def of(cls, strings: Sequence[str]) -> Strings:
        """The same strings."""
        parts = [s.encode() for s in strings]
        return cls(b"".join(parts), np.cumsum([len(p) for p in parts], dtype=np.int64))

    def __len__(self) -> int:
        """How many strings."""
        return len(self.ends)

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> list[str]: ...
    def __getitem__(self, i: int | slice) -> str | list[str]:
        """One string, or a list of some."""
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        at = range(len(self))[i]
        return self.text[self.ends[at - 1] if at else 0 : self.ends[at]].decode()

    def __iter__(self) -> Iterator[str]:
        """Each in turn."""
        first, text = 0, self.text
        for end in self.ends:
            yield text[first:end].decode()
            first = end
