"""The file that the ids of a corpus lie in, memory-mapped: one of the user's, or one that nobody sees.

64 bytes of header (magic, and four lengths as little-endian uint64), int32 ids, padding to 8 bytes, int64
offsets, int64 counts; then what the ids mean: as strings, the int64 ends of each in their text, and that text
in UTF-8; as integers, int64. A file of the user's is written aside and renamed when it is whole.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ._strings import Strings

_MAGIC = b"fastrnn corpus 2"
_HEADER = struct.Struct(
    "<16s4Q16x"
)  # magic; numbers of ids, offsets and types; bytes of text + 1, or 0: integers
_Parts = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], Sequence[Any], npt.NDArray[np.int64]]


class Store:
    """Takes a corpus bit by bit; a context manager, which leaves no half-written file behind."""

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self.tokens = 0
        self._ends: list[npt.NDArray[np.int64]] = [np.zeros(1, np.int64)]
        self._path = None if path is None else Path(path)

    def __enter__(self) -> Store:
        """Begin the file."""
        self._file: IO[bytes]
        if self._path is None:
            self._file = tempfile.TemporaryFile()
        else:
            self._aside = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
            self._file = open(self._aside, "wb")
        self._file.write(bytes(_HEADER.size))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file; remove it when it is not whole."""
        self._file.close()
        if self._path is not None:
            self._aside.unlink(missing_ok=True)

    def add(self, ids: npt.NDArray[np.int32], ends: npt.NDArray[np.int64]) -> None:
        """Take ids, and the numbers of tokens, from the very beginning, at the ends of sentences."""
        self.tokens += len(ids)
        self._ends.append(ends)
        self._file.write(ids.tobytes())

    def finish(self, types: Sequence[Any], counts: npt.NDArray[np.int64]) -> _Parts:
        """Return the corpus, its ids as they are read from the file."""
        offsets = np.concatenate(self._ends)
        if self._path is None:
            self._file.flush()
            return _map(self._file, self.tokens), offsets, types, counts
        strings = isinstance(types[0], str)
        if strings and not isinstance(types, Strings):
            types = Strings.of(types)
        text = types.text if isinstance(types, Strings) else b""
        meaning = types.ends if isinstance(types, Strings) else np.array(types, np.int64)
        self._file.write(bytes(-4 * self.tokens % 8))
        for part in (offsets, counts, meaning):
            self._file.write(part.tobytes())
        self._file.write(text)
        self._file.seek(0)
        lengths = self.tokens, len(offsets), len(types), len(text) + 1 if strings else 0
        self._file.write(_HEADER.pack(_MAGIC, *lengths))
        self._file.flush()
        os.fsync(self._file.fileno())
        os.replace(self._aside, self._path)
        stored = load_store(self._path)
        assert stored is not None
        return stored


def _map(file: IO[bytes], tokens: int) -> npt.NDArray[np.int32]:
    return np.memmap(file, np.int32, "r", _HEADER.size, (tokens,))  # type: ignore[call-overload, no-any-return, unused-ignore]


def load_store(path: Path) -> _Parts | None:
    """Return the corpus in a file, memory-mapped; None when the file does not begin like one."""
    with open(path, "rb") as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size or head[:16] != _MAGIC:
            return None
        _, tokens, ends, count, text = _HEADER.unpack(head)
        first = _HEADER.size + 4 * tokens + -4 * tokens % 8
        whole = first + 8 * (ends + 2 * count) + max(0, text - 1)
        size = os.fstat(file.fileno()).st_size
        if size != whole or ends < 2 or tokens == 0:
            raise ValueError(f"{path}: expected a corpus file of {whole} bytes, got {size}")
        ids = _map(file, tokens)
        file.seek(first)
        offsets, counts, meaning = (np.frombuffer(file.read(8 * n), np.int64) for n in (ends, count, count))
        types: Sequence[Any] = Strings(file.read(), meaning) if text else meaning.tolist()
    return ids, offsets, types, counts
