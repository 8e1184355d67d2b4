"""Models in files of Facebook's fastText (.bin), both ways.

Little-endian; `src/fasttext.cc`, `args.cc`, `dictionary.cc` and `densematrix.cc` of fastText say the same::

    i32 magic, i32 version          not in files of before 2017
    i32 dim ws epoch minCount neg wordNgrams loss model bucket minn maxn lrUpdateRate, f64 t
    i32 entries words labels, i64 tokens, i64 pruned (not in old files)
    entries: bytes, 0, i64 count, i8 type
    u8 quantised, i64 rows columns, f32 [rows, columns]     words, then buckets
    u8 quantised, i64 rows columns, f32 [rows, columns]     what they are scored against
"""

from __future__ import annotations

import os
import struct
from typing import Any, BinaryIO, NoReturn

import numpy as np

from fastrnn import _files

from ._subwords import FastTextKeyedVectors
from ._tables import Floats, Table, Tables
from ._word2vec_format import opened
from .fasttext import FastText

_MAGIC, _VERSION = 793712314, 12
_ARGUMENTS = struct.Struct("<12id")
_NAMES = (
    "vector_size",
    "window",
    "epochs",
    "min_count",
    "negative",
    "word_ngrams",
    "loss",
    "model",
    "bucket",
)
_CBOW, _SKIPGRAM, _SUPERVISED = 1, 2, 3
_HIERARCHICAL, _NEGATIVE = 1, 2
_CHUNK = 1 << 20
_MOST = 1 << 40  # bytes of a matrix


def load_facebook_model(path: _files.Path, encoding: str = "utf-8") -> FastText:
    """Read a model of Facebook's fastText, to be asked and trained further.

    The nodes of hierarchical softmax are numbered as `FastText` numbers them, so a model with them should be
    asked and not trained further.

    Raises
    ------
    ValueError
        The file is something else, damaged, quantised, or of a supervised model; the message names the byte.
    """
    return _load(path, encoding, True)


def load_facebook_vectors(path: _files.Path, encoding: str = "utf-8") -> FastTextKeyedVectors:
    """Read the vectors of a model of Facebook's fastText alone; see `load_facebook_model`."""
    return _load(path, encoding, False).wv


def save_facebook_model(
    model: FastText,
    path: _files.Path,
    encoding: str = "utf-8",
    lr_update_rate: int = 100,
    word_ngrams: int = 1,
) -> None:
    """Write a model as Facebook's fastText does; `lr_update_rate` and `word_ngrams` are for its program."""
    tables = model.tables()
    scored = tables.output or tables.nodes
    if tables.more is None or scored is None:
        raise ValueError("model: expected one with a vocabulary, got one without")
    loss, kind = _HIERARCHICAL if model.hs else _NEGATIVE, _SKIPGRAM if model.sg else _CBOW
    with _files.replacing("model", path, flush=False) as file:
        file.write(struct.pack("<2i", _MAGIC, _VERSION))
        first = (model.vector_size, model.window, model.epochs, model.min_count, model.negative, word_ngrams)
        rest = (loss, kind, model.bucket, model.min_n, model.max_n, lr_update_rate, model.sample)
        file.write(_ARGUMENTS.pack(*first, *rest))
        count = len(model.wv)
        file.write(struct.pack("<3i2q", count, count, 0, model.corpus_total_words, -1))
        for word, n in zip(model.wv.index_to_key, model._counts.tolist(), strict=True):
            file.write(word.encode(encoding) + b"\0" + struct.pack("<qb", n, 0))
        _write_matrix(file, tables.input.rows, tables.more.rows)
        _write_matrix(file, (tables.nodes if model.hs and tables.nodes is not None else scored).rows)


def _write_matrix(file: BinaryIO, *parts: Floats) -> None:
    file.write(struct.pack("<?2q", False, sum(map(len, parts)), parts[0].shape[1]))
    for part in parts:
        file.write(np.ascontiguousarray(part, "<f4").data)


class Unsupported(ValueError, NotImplementedError):
    """A file that is whole, of a model that is none of words; gensim has a NotImplementedError for it."""


class _Cursor:
    """A file from its beginning, with the place for messages."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file, self.name = file, name
        self.block, self.at, self.before = b"", 0, 0

    def fail(self, expected: str, got: Any, kind: type[ValueError] = ValueError) -> NoReturn:
        raise kind(f"model: {self.name!r}, byte {self.before + self.at}: expected {expected}, got {got}")

    def take(self, size: int) -> bytes:
        """So many bytes."""
        if self.at + size > len(self.block):
            rest = self.block[self.at :]
            more = self.file.read(max(size - len(rest), _CHUNK))
            self.before, self.block, self.at = self.before + self.at, rest + more, 0
        found = self.block[self.at : self.at + size]
        if len(found) < size:
            raise ValueError(f"model: {self.name!r} ends at byte {self.before + len(self.block)}, too early")
        self.at += size
        return found

    def unpack(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def word(self) -> bytes:
        """Bytes up to a zero."""
        end = self.block.find(b"\0", self.at)
        if end < 0:
            self.take(1)  # reads on
            self.at -= 1
            end = self.block.find(b"\0", self.at)
            if end < 0:
                self.fail("a word that ends", f"{len(self.block) - self.at} bytes without a zero")
        found = self.block[self.at : end]
        self.at = end + 1
        return found

    def matrix(self, new: bool, rows: int, columns: int) -> Floats:
        """A matrix that must have these sizes."""
        if new and self.unpack("?")[0]:
            self.fail("a matrix of float32", "a quantised one")
        shape = self.unpack("2q")
        if shape != (rows, columns) or rows * columns * 4 > _MOST:
            self.fail(f"a matrix of {rows} x {columns}", f"{shape[0]} x {shape[1]}")
        return np.frombuffer(self.take(rows * columns * 4), "<f4").reshape(rows, columns)


def _load(path: _files.Path, encoding: str, full: bool) -> FastText:
    with opened(path, "model") as file:
        cursor = _Cursor(file, os.fspath(path))
        magic, version = cursor.unpack("2i")
        new = magic == _MAGIC
        values = cursor.unpack("12id") if new else (magic, version, *cursor.unpack("10id"))
        found = dict(zip((*_NAMES, "min_n", "max_n", "lr_update_rate", "sample"), values, strict=True))
        loss, kind, bucket = found.pop("loss"), found.pop("model"), found["bucket"]
        if kind not in (_CBOW, _SKIPGRAM, _SUPERVISED) or found["vector_size"] < 1 or bucket < 0:
            cursor.fail("a model of fastText", "something else")
        entries, words, labels, tokens = cursor.unpack("3iq")
        if kind == _SUPERVISED or labels:
            cursor.fail("a model of words", "a supervised one", Unsupported)
        if new and cursor.unpack("q")[0] > 0:
            cursor.fail("a model with all of its n-grams", "a pruned one", Unsupported)
        if not 0 < words == entries:
            cursor.fail("a vocabulary", f"{words} words of {entries} entries")
        known: dict[str, int] = {}
        for _ in range(words):
            word = cursor.word().decode(encoding, "backslashreplace")
            known[word], _kind = cursor.unpack("qb")
        if len(known) != words:
            cursor.fail("words that differ", f"{words - len(known)} twice")
        for name in ("word_ngrams", "lr_update_rate"):
            found.pop(name)
        hs = int(loss == _HIERARCHICAL)
        model = FastText(
            sg=int(kind == _SKIPGRAM), hs=hs, **{**found, "negative": 0 if hs else found["negative"]}
        )
        size = model.vector_size
        vectors = cursor.matrix(new, words + bucket, size)
        tables = Tables(Table(vectors[:words]), None, None, Table(vectors[words : words + model.bucket]))
        if full:
            scored = Table(cursor.matrix(new, words, size))
            tables.nodes, tables.output = (scored, None) if hs else (None, scored)
    model._name_words(list(known), np.fromiter(known.values(), np.int64, len(known)))
    model._take_tables(tables)
    model.corpus_total_words = tokens
    return model
