"""Where the ids of a corpus lie: in memory, or in a file that is memory-mapped.

The file: 64 bytes of header (magic, and four lengths as little-endian uint64), int32 ids, padding to 8 bytes,
int64 offsets, int64 counts, and the types as UTF-8 JSON. It is written aside and renamed when it is whole.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

_MAGIC = b"fastrnn corpus 1"
_HEADER = struct.Struct("<16s4Q16x")  # magic; numbers of ids, offsets and counts; bytes of JSON
_Parts = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], Sequence[Any], npt.NDArray[np.int64]]


class Store:
    """Takes a corpus bit by bit; a context manager, which leaves no half-written file behind."""

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self.tokens = 0
        self._ends: list[npt.NDArray[np.int64]] = [np.zeros(1, np.int64)]
        self._ids = np.empty(0, np.int32)
        self._path = None if path is None else Path(path)
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Store:
        """Begin the file, when there is one."""
        if self._path is not None:
            self._aside = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
            self._file = open(self._aside, "wb")
            self._file.write(bytes(_HEADER.size))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file; remove it when it is not whole."""
        if self._file is not None:
            self._file.close()
            self._aside.unlink(missing_ok=True)

    def add(self, ids: npt.NDArray[np.int32], ends: npt.NDArray[np.int64]) -> None:
        """Take ids, and the numbers of tokens, from the very beginning, at the ends of sentences."""
        before, self.tokens = self.tokens, self.tokens + len(ids)
        self._ends.append(ends)
        if self._file is None:
            if before == 0:
                self._ids = ids
                return
            if self.tokens > len(self._ids) or not self._ids.flags.owndata:
                self._grow(before)
            self._ids[before : self.tokens] = ids
        else:
            self._file.write(ids.tobytes())

    def _grow(self, used: int) -> None:
        """Make room, in place where the system can; parts of a list would be there twice when joined."""
        room = max(self.tokens, used + used // 2)
        if self._ids.flags.owndata and self._ids.flags.writeable:
            self._ids.resize(room, refcheck=False)
        else:
            grown = np.empty(room, np.int32)
            grown[:used] = self._ids[:used]
            self._ids = grown

    def finish(self, types: Sequence[Any], counts: npt.NDArray[np.int64]) -> _Parts:
        """Return the corpus; with a file, as it is read from there."""
        offsets = np.concatenate(self._ends)
        if self._file is None or self._path is None:
            return self._ids[: self.tokens], offsets, types, counts
        text = json.dumps(list(types), ensure_ascii=False).encode()
        self._file.write(bytes(-4 * self.tokens % 8))
        self._file.write(offsets.tobytes())
        self._file.write(counts.tobytes())
        self._file.write(text)
        self._file.seek(0)
        self._file.write(_HEADER.pack(_MAGIC, self.tokens, len(offsets), len(counts), len(text)))
        self._file.flush()
        os.fsync(self._file.fileno())
        os.replace(self._aside, self._path)
        stored = load_store(self._path)
        assert stored is not None
        return stored


def load_store(path: Path) -> _Parts | None:
    """Return the corpus in a file, memory-mapped; None when the file does not begin like one."""
    with open(path, "rb") as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size or head[:16] != _MAGIC:
            return None
        _, tokens, ends, count, text = _HEADER.unpack(head)
        first = _HEADER.size + 4 * tokens + -4 * tokens % 8
        whole = first + 8 * (ends + count) + text
        size = os.fstat(file.fileno()).st_size
        if size != whole or ends < 2 or tokens == 0:
            raise ValueError(f"{path}: expected a corpus file of {whole} bytes, got {size}")
        ids = np.memmap(path, np.int32, "r", _HEADER.size, (tokens,))
        file.seek(first)
        offsets = np.frombuffer(file.read(8 * ends), np.int64)
        counts = np.frombuffer(file.read(8 * count), np.int64)
        types = json.loads(file.read(text))
    return ids, offsets, types, counts
