"""A corpus as integers: one pass over anything that has tokens, epochs over 4 bytes a token.

A `Corpus` is token ids, sentence offsets and what the ids mean. Nothing is cut off or left out: a sentence
may have any length. Ids number the distinct tokens (*types*) in the order in which they are first met; which
of them are words of a vocabulary is decided later (`fastrnn.word2vec.vocabulary`), so one encoded file serves
any ``min_count``.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from fastrnn import _check, _core

from . import _corpus
from ._cache import Store, load_store
from ._strings import Strings
from .vocabulary import NoWords

Ids = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Tokenizer = Callable[[Any], Iterable[str]]

_BLOCK = 1 << 20  # bytes of text taken in together
_IGNORE = "errors='ignore' leaves such bytes out"


class Corpus:
    """Token ids and what they mean.

    Parameters
    ----------
    ids : ndarray of int32, shape (N,)
        Each an index into `types`.
    offsets : ndarray of int64, shape (S + 1,)
        Sentence s is ``ids[offsets[s]:offsets[s + 1]]``.
    types : sequence
        The distinct tokens.
    counts : ndarray of int64
        How often each type occurs.
    """

    def __init__(
        self, ids: Ids, offsets: Offsets, types: Sequence[Any], counts: npt.NDArray[np.int64]
    ) -> None:
        self.ids = ids
        self.offsets = offsets
        self.types = types
        self.counts = counts

    def __len__(self) -> int:
        """The number of sentences."""
        return len(self.offsets) - 1

    @property
    def tokens(self) -> int:
        """The number of tokens."""
        return len(self.ids)

    @classmethod
    def read(
        cls,
        source: Any,
        *,
        tokenizer: Tokenizer | None = None,
        cache: str | os.PathLike[str] | None = None,
        errors: str = "strict",
        threads: int | None = None,
    ) -> Corpus:
        """Encode a corpus.

        Parameters
        ----------
        source : path, iterable, ndarray or tuple
            - path of a text file (UTF-8; a sentence is a line, tokens are split at white space), of a ``.gz``
              or ``.bz2`` of one, of a folder (its files in the order of their names, subfolders too), or of
              a file that `cache` has left;
            - iterable of lists of str, read once, so a generator will do; with `tokenizer`, of what it takes;
            - ``(ids, offsets)``: NumPy integers, sentence s being ``ids[offsets[s]:offsets[s + 1]]``; a
              two-dimensional integer array, whose rows are sentences; or a list of one-dimensional ones;
            - an Arrow list array (of strings or integers), in chunks or in one piece, as pyarrow has it.
        tokenizer : callable, optional
            From a line of a file, or an item of the iterable, to its tokens.
        cache : path, optional
            Ids go to this file, which may be given as `source` later. Without, to a temporary one: either way
            they are memory-mapped, so a corpus may be larger than memory. Arrays of ids stay where they are.
        errors : {"strict", "ignore"}
            What to do about bytes of a file that are not UTF-8.
        threads : int, optional
            For reading files. Default: all.

        Raises
        ------
        TypeError
            Where a string stands for a list of tokens, or a token is not a string.
        ValueError
            For a corpus without tokens, and for invalid UTF-8: the message has its offset.
        """
        _check.choice("errors", errors, ("strict", "ignore"))
        if isinstance(source, Corpus):
            return source
        if isinstance(source, (str, os.PathLike)):
            path = Path(source)
            stored = load_store(path) if path.is_file() else None
            if stored is not None:
                return cls(*stored)
        if cache is not None and isinstance(source, (str, os.PathLike)) and _same_file(source, cache):
            raise ValueError(f"cache: expected another file than the corpus, got {os.fspath(cache)!r}")
        arrays = _as_arrays(source)
        if arrays is not None and cache is None and len(arrays[0]):
            return cls(*_numbered(*arrays))
        with Store(cache) as store:
            types, counts = _fill(store, source, arrays, tokenizer, errors, threads)
            if store.tokens == 0:
                raise NoWords("sentences: expected a corpus with at least one token, got an empty one")
            return cls(*store.finish(types, counts))


def _same_file(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> bool:
    return os.path.realpath(os.fspath(a)) == os.path.realpath(os.fspath(b))


def _fill(
    store: Store,
    source: Any,
    arrays: tuple[npt.NDArray[Any], Offsets] | None,
    tokenizer: Tokenizer | None,
    errors: str,
    threads: int | None,
) -> tuple[Sequence[Any], npt.NDArray[np.int64]]:
    """Put a corpus into the store; return its types and their counts."""
    if isinstance(source, (str, os.PathLike)):
        files = _files(Path(source))
        if tokenizer is None:
            return _encode_files(store, files, errors, threads)
        source = _lines(files, errors)
    elif arrays is not None:
        ids, offsets, numbers, found = _numbered(*arrays)
        store.add(ids, offsets[1:])
        return numbers, found
    if isinstance(source, bytes) or not hasattr(source, "__iter__"):
        raise TypeError(f"sentences: expected an iterable of lists of tokens, got {_check.describe(source)}")
    types: dict[str, int] = {}
    counts = _corpus.encode(
        source.to_pylist() if hasattr(source, "to_pylist") else source,
        types,
        lambda i, e: store.add(np.frombuffer(i, np.int32), np.frombuffer(e, np.int64)),
        tokenizer,
    )
    return list(types), np.frombuffer(counts, np.int64)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        if not found:
            raise ValueError(f"sentences: expected files in {path}, got an empty folder")
        return found
    return [path]


def _open(path: Path) -> IO[bytes]:
    opener: Any = {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix, open)
    file: IO[bytes] = opener(path, "rb")
    return file


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Give what is said of damaged archives the name of the file."""
    try:
        yield
    except (EOFError, zlib.error) as error:
        raise ValueError(f"{path}: {error}") from None
    except OSError as error:
        if error.errno is None:  # not the system's: of a decoder
            raise ValueError(f"{path}: {error}") from None
        raise


def _lines(files: list[Path], errors: str) -> Iterator[str]:
    for path in files:
        at = 0
        with _named(path), _open(path) as file:
            for line in file:
                try:
                    text = line.decode("utf-8", errors)
                except UnicodeDecodeError as error:
                    where = f"byte {line[error.start]} at offset {at + error.start}"
                    raise ValueError(f"{path}: expected UTF-8, got {where}; {_IGNORE}") from None
                at += len(line)
                yield text.rstrip("\r\n")


def _encode_files(
    store: Store, files: list[Path], errors: str, threads: int | None
) -> tuple[Strings, npt.NDArray[np.int64]]:
    encoder = _core.TextEncoder(threads or _core.get_num_threads(), errors == "ignore")
    for path in files:
        encoder.begin()
        with _named(path), _open(path) as file:
            left = b""
            while True:
                block = file.read(_BLOCK)
                text = left + block if left else block
                try:
                    used = encoder.feed(text, not block)
                except _core.InvalidUtf8 as error:
                    raise ValueError(f"{path}: {error}; {_IGNORE}") from None
                store.add(*encoder.take())
                left = text[used:]
                if not block:
                    break
    return Strings(*encoder.types()), encoder.counts()


def _as_arrays(source: Any) -> tuple[npt.NDArray[Any], Offsets] | None:
    """Integer ids and offsets, when that is what the source is."""
    if isinstance(source, np.ndarray) and source.ndim == 2:
        rows, columns = source.shape
        return _integers(source.reshape(-1)), np.arange(rows + 1, dtype=np.int64) * columns
    if isinstance(source, tuple) and len(source) == 2 and all(isinstance(a, np.ndarray) for a in source):
        ids, offsets = _integers(source[0]), _integers(source[1]).astype(np.int64)
        if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != len(ids) or (np.diff(offsets) < 0).any():
            raise ValueError(
                f"offsets: expected ascending from 0 to {len(ids)}, the number of ids, got others"
            )
        return ids, offsets
    if (
        isinstance(source, list)
        and source
        and all(isinstance(a, np.ndarray) and a.dtype.kind in "iu" for a in source)
    ):
        return np.concatenate([_integers(a) for a in source]), np.cumsum(
            [0, *map(len, source)], dtype=np.int64
        )
    if hasattr(source, "combine_chunks"):
        source = source.combine_chunks()
    if hasattr(source, "__arrow_c_array__") and hasattr(source, "flatten"):
        return _arrow_integers(source)
    return None


def _arrow_integers(source: Any) -> tuple[npt.NDArray[Any], Offsets] | None:
    """Ids and offsets of an Arrow array of lists, if they are of integers."""
    flat = source.flatten()
    if not str(getattr(flat, "type", "")).lstrip("u").startswith("int"):
        return None
    if source.null_count or flat.null_count:
        where = "a list" if source.null_count else "an id"
        raise ValueError(f"sentences: expected lists of integers, got null for {where}")
    lengths = (
        [len(part) for part in source] if not hasattr(source, "value_lengths") else source.value_lengths()
    )
    offsets = np.cumsum([0, *np.asarray(lengths)], dtype=np.int64)
    return _integers(flat.to_numpy(zero_copy_only=False)), offsets


def _integers(a: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if a.dtype.kind not in "iu":
        raise TypeError(f"ids: expected NumPy integers, got {a.dtype}")
    if a.ndim != 1:
        raise ValueError(f"ids: expected one axis, got shape {a.shape}")
    if a.size and a.min() < 0:
        raise ValueError(f"ids: expected integers >= 0, got {a.min()}")
    return a


def _numbered(
    ids: npt.NDArray[Any], offsets: Offsets
) -> tuple[Ids, Offsets, Sequence[int], npt.NDArray[np.int64]]:
    """Ids as they are where dense, else numbered by size; sentences that are not empty; types and counts."""
    types: Sequence[int]
    if ids.size and int(ids.max()) < max(1 << 20, 4 * ids.size):
        counts = np.bincount(ids).astype(np.int64)
        types = range(len(counts))
    else:
        known, ids, counts = np.unique(ids, return_inverse=True, return_counts=True)
        types = known.tolist()
    ends = offsets[1:][np.diff(offsets) > 0]
    return (
        ids.astype(np.int32, copy=False),
        np.concatenate([np.zeros(1, np.int64), ends]),
        types,
        counts.astype(np.int64, copy=False),
    )
