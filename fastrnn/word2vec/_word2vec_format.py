"""Files of word2vec, GloVe and fastText (.vec): a line of sizes, then words and their numbers."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import sys
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import numpy as np

from fastrnn import _core, _files

if TYPE_CHECKING:
    from fastrnn._typing import Array

CHUNK = 1 << 20  # bytes: what is read stays in the second-level cache until it is copied
LONGEST_LINE = 1 << 24  # of a text file whose vectors are of unknown size
_HEADER = re.compile(rb"[ \t]*([0-9]{1,18})[ \t]+([0-9]{1,9})[ \t\r]*")
_GZIP = b"\x1f\x8b"


@contextlib.contextmanager
def opened(path: _files.Path, what: str = "vectors") -> Iterator[BinaryIO]:
    """Open a file, or what a gzip file holds, whatever its name is."""
    with _files.reading(what, path) as file:
        start = file.read(2)
        file.seek(0)
        if start != _GZIP:
            yield file
            return
        try:
            with gzip.GzipFile(fileobj=file) as inner:
                yield inner  # type: ignore[misc]
        except (gzip.BadGzipFile, zlib.error) as error:
            at = file.tell()
            raise ValueError(f"{what}: {os.fspath(path)!r} is damaged before byte {at}: {error}") from None


@contextlib.contextmanager
def created(path: _files.Path, append: bool = False) -> Iterator[BinaryIO]:
    """Make a file in one step, or add to one; compressed if its name ends in .gz."""
    with contextlib.ExitStack() as stack:
        if append:
            file: Any = stack.enter_context(open(path, "ab"))
            size = file.tell()
            stack.push(lambda kind, *_: None if kind is None else file.truncate(size) and None)
        else:
            file = stack.enter_context(_files.replacing("vectors", path, flush=False))
        if os.fspath(path).endswith(".gz"):
            file = stack.enter_context(gzip.GzipFile("", "wb", 6, file, mtime=0))
        yield file


class Reader:
    """The records of one file, chunk by chunk; messages name places in what was compressed."""

    def __init__(self, file: BinaryIO, path: _files.Path, encoding: str, errors: str) -> None:
        self._file, self._name = file, os.fspath(path)
        self._encoding, self._errors = encoding, errors
        self._buffer, self._filled = bytearray(CHUNK), 0
        self._base = 0  # place of buffer[0] in the file
        self._ended = False

    def header(self) -> tuple[int, int]:
        """Read the first line: how many vectors, and how many numbers each has."""
        self._read()
        line = bytes(self._buffer[: min(self._filled, 256)]).partition(b"\n")[0]
        found = _HEADER.fullmatch(line)
        if not found or int(found[2]) < 1:
            start = bytes(self._buffer[: min(self._filled, 24)])
            self._fail(0, "a line with the count and the size of the vectors", repr(start))
        self._skip(min(len(line) + 1, self._filled))
        return int(found[1]), int(found[2])

    def first_size(self) -> int:
        """Count the numbers on the first line of a file without a header; 0: it is empty."""
        self._read()
        while True:
            line, newline, _ = bytes(self._buffer[: self._filled]).lstrip(b"\n").partition(b"\n")
            if newline or self._ended:
                break
            self._grow(LONGEST_LINE)
        fields = len(line.split())
        if fields == 1:
            self._fail(0, "a word and numbers", repr(line[:24]))
        return max(fields - 1, 0)

    def records(
        self, size: int, count: int, binary: bool, dtype: Any, *, exact: bool = True
    ) -> Iterator[tuple[list[str], Array]]:
        """
        Yield words and rows until there are `count`, or fewer unless `exact`; rows are overwritten.

        Raises
        ------
        EOFError
            The file ends before.
        ValueError
            Something else is there; the message names the byte.
        """
        least = 4 * size + 1 if binary else 2 * size  # bytes of a record
        most_line = 64 * size + (1 << 17)
        rows = np.empty((len(self._buffer) // least + 1, size), np.float32 if binary else dtype)
        done = 0
        while done < count:
            self._read()
            want = min(len(rows), count - done)
            words, used, problem, at, end = _core.read_records(
                self._buffer, 0, self._filled, binary, self._ended, rows[:want], self._encoding, self._errors
            )
            if problem is not None:
                self._explain(problem, at, end, size)
            if words:
                yield words, rows[: len(words)]
            done += len(words)
            self._skip(used)
            if used == 0 and self._ended:
                if not exact:
                    return
                place = self._base + self._filled
                raise EOFError(
                    f"vectors: {self._name!r} ends at byte {place}, in vector {done + 1} of {count}"
                )
            if used == 0 and self._filled == len(self._buffer):
                self._grow(2 * least + (1 << 18) if binary else most_line)
                if len(rows) < len(self._buffer) // least:
                    rows = np.empty((len(self._buffer) // least + 1, size), rows.dtype)

    def end(self, count: int) -> None:
        """Raise ValueError if the file goes on after `count` vectors."""
        while not self._ended or self._filled:
            self._read()
            rest = bytes(self._buffer[: self._filled])
            if rest.strip(b" \t\r\n"):
                at = len(rest) - len(rest.lstrip(b" \t\r\n"))
                self._fail(
                    at,
                    f"the end after {count} vectors",
                    f"{rest[at:][:24]!r}; limit={count} reads no further",
                )
            self._skip(self._filled)

    def _read(self) -> None:
        view = memoryview(self._buffer)
        try:
            while self._filled < len(view) and not self._ended:
                got = self._file.readinto(view[self._filled :])  # type: ignore[attr-defined]
                self._filled += got
                self._ended = got == 0
        except EOFError:
            raise EOFError(
                f"vectors: {self._name!r}: the compressed data end at byte {self._base + self._filled} of "
                "what they hold"
            ) from None

    def _skip(self, used: int) -> None:
        self._buffer[: self._filled - used] = self._buffer[used : self._filled]
        self._filled -= used
        self._base += used

    def _grow(self, limit: int) -> None:
        if len(self._buffer) >= limit:
            self._fail(0, f"a line of at most {limit} bytes", "none")
        self._buffer.extend(bytes(len(self._buffer)))
        self._read()

    def _fail(self, at: int, expected: str, got: str) -> NoReturn:
        raise ValueError(
            f"vectors: {self._name!r}, byte {self._base + at}: expected {expected}, got {got}"
        ) from None

    def _explain(self, problem: str, at: int, end: int, size: int) -> NoReturn:
        if problem == "text":
            self._undecodable(at, end)
        stop = self._buffer.find(b"\n", at, self._filled)
        got = bytes(self._buffer[at : stop if stop >= 0 else self._filled])
        token = got.split(b" ")[0] if problem == "a number" else got
        shown = repr(token[:24].decode("ascii", "backslashreplace")) if token else "the end of the line"
        self._fail(at, problem.replace("as many numbers as a vector has", f"{size} numbers"), shown)

    def _undecodable(self, at: int, end: int) -> NoReturn:
        word = bytes(self._buffer[at:end])
        try:
            word.decode(self._encoding, self._errors)
        except UnicodeDecodeError as error:
            error.reason += (
                f", at byte {self._base + at + error.start} of {self._name!r}; unicode_errors='ignore' or "
                "'replace' reads on"
            )
            raise error from None
        raise AssertionError("the word could be decoded")


def read(
    path: _files.Path,
    *,
    binary: bool,
    encoding: str,
    errors: str,
    limit: int | None,
    dtype: Any,
    no_header: bool,
) -> tuple[list[str], Array]:
    """Read words, which may repeat, and their vectors."""
    with opened(path) as file:
        reader = Reader(file, path, encoding, errors)
        count, size = (sys.maxsize, reader.first_size()) if no_header else reader.header()
        if size == 0:
            return [], np.zeros((0, 0), dtype)
        wanted = count if limit is None else min(count, limit)
        # The header is believed when the vectors are there: room is made as they come.
        guess = os.stat(path).st_size // (4 * size + 1 if binary else 2 * size) + 1
        vectors = np.empty((min(guess, wanted), size), dtype)
        words: list[str] = []
        working = np.float64 if dtype == np.float64 else np.float32
        for some, rows in reader.records(size, wanted, binary, working, exact=not no_header):
            end = len(words) + len(some)
            if end > len(vectors):
                vectors.resize((max(end, 2 * len(vectors)), size), refcheck=False)
            vectors[len(words) : end] = rows
            words += some
        if wanted == count and not no_header:
            reader.end(count)
        if len(vectors) != len(words):
            vectors.resize((len(words), size), refcheck=False)
        return words, vectors


def write(file: BinaryIO, words: list[bytes], vectors: Array, binary: bool) -> None:
    """Write words and vectors, without a header."""
    step = max(1, CHUNK // (4 * vectors.shape[1] + 16))
    for at in range(0, len(words), step):
        rows = vectors[at : at + step]
        if binary or rows.dtype == np.float16:
            rows = rows.astype(np.float32, copy=False)
        file.write(_core.write_records(words[at : at + step], rows, binary))


def read_counts(path: _files.Path, encoding: str, errors: str) -> dict[str, int]:
    """Return the words of a vocabulary file, each on a line with its count."""
    counts: dict[str, int] = {}
    at = 0
    with opened(path, "fvocab") as file:
        for line in file:
            try:
                word, count = line.decode(encoding, errors).split()
                counts[word] = int(count)
            except UnicodeDecodeError:
                raise
            except ValueError:
                name, got = os.fspath(path), line[:40]
                raise ValueError(
                    f"fvocab: {name!r}, byte {at}: expected a word and its count, got {got!r}"
                ) from None
            at += len(line)
    return counts
