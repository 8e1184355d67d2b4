"""Vectors from a file of any format that KeyedVectors reads."""

from __future__ import annotations

import os

from fastrnn import _files, checkpoint

from ._word2vec_format import opened
from .keyedvectors import KeyedVectors

_START = 1 << 16  # bytes that tell one format from another


def read_vectors(path: _files.Path, limit: int | None = None) -> KeyedVectors:
    """
    Read a file of fastrnn, word2vec (text or binary), fastText (.vec), GloVe, npz or safetensors.

    The content tells which it is, also inside of gzip. `limit` is for word2vec, fastText and GloVe.

    Raises
    ------
    ValueError, EOFError
        It is none of these, or damaged; the message names the byte.
    """
    name = os.fspath(path)
    with opened(name) as file:
        start = file.read(_START)
    if start.startswith(checkpoint.MAGIC):
        return KeyedVectors.load(name)
    if start.startswith(b"PK\3\4"):
        return KeyedVectors.load_npz(name)
    if start[8:10] == b'{"':
        return KeyedVectors.load_safetensors(name)
    first, _, rest = start.partition(b"\n")
    header = len(first.split()) == 2
    if header and not _is_text(rest, first.split()[1]):
        return KeyedVectors.load_word2vec_format(name, binary=True, limit=limit)
    return KeyedVectors.load_word2vec_format(name, no_header=not header and bool(start), limit=limit)


def _is_text(rest: bytes, size: bytes) -> bool:
    """Whether the first record is a line of a word and `size` numbers; when it is cut, as far as it goes."""
    line, newline, _ = rest.partition(b"\n")
    fields = line.split()[1:]
    if newline and str(len(fields)).encode() != size:
        return False
    try:
        for field in fields if newline else fields[:-1]:
            float(field)
    except ValueError:
        return False
    return True
