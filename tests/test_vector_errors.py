"""Files of vectors that are damaged or foreign: what is said, and at which byte."""

from __future__ import annotations

import gzip
import os

import numpy as np
import pytest
import vectors
from test_vector_files import FORMATS
from vectors import make

from fastrnn import KeyedVectors, checkpoint

ROW = np.float32([1, 2]).tobytes()
BAD = {
    "empty": (
        b"",
        {},
        ValueError,
        "byte 0: expected a line with the count and the size of the vectors, got \"b''\"",
    ),
    "no header": (b"abc 1 2\n", {}, ValueError, "byte 0: expected a line with the count"),
    "no size": (b"3 0\n", {}, ValueError, "byte 0: expected a line with the count"),
    "negative": (b"-3 2\n", {}, ValueError, "byte 0: expected a line with the count"),
    "word": (b"1 2\na 1 x\n", {}, ValueError, "byte 8: expected a number, got 'x'"),
    "few": (b"1 2\na 1\n", {}, ValueError, "byte 7: expected 2 numbers, got the end of the line"),
    "many": (b"1 2\na 1 2 3\n", {}, ValueError, "byte 10: expected the end of the line .*, got '3'"),
    "short": (b"2 2\na 1 2\n", {}, EOFError, "ends at byte 10, in vector 2 of 2"),
    "long": (
        b"1 2\na 1 2\nb 1 2\n",
        {},
        ValueError,
        "byte 10: expected the end after 1 vectors, got .*limit=1",
    ),
    "lying": (b"9999999999 2\na 1 2\n", {}, EOFError, "ends at byte 19, in vector 2 of 9999999999"),
    "binary short": (
        b"2 2\na " + ROW + b"b " + ROW[:5],
        {"binary": True},
        EOFError,
        "byte 21, in vector 2 of 2",
    ),
    "binary long": (
        b"1 2\na " + ROW + b"b",
        {"binary": True},
        ValueError,
        "byte 14: expected the end after 1",
    ),
    "binary lying": (
        b"1 999999999\na " + ROW,
        {"binary": True},
        EOFError,
        "ends at byte 22, in vector 1 of 1",
    ),
    "no blank": (
        b"1 2\n" + b"x" * 70000,
        {"binary": True},
        ValueError,
        "byte 4: expected a word of at most 65536",
    ),
    "one field": (b"abc\n", {"no_header": True}, ValueError, "byte 0: expected a word and numbers"),
    "gzip cut": (gzip.compress(b"2 2\na 1 2\n" * 9)[:-9], {}, EOFError, "compressed data end at byte"),
    "gzip damaged": (b"\x1f\x8b" + b"x" * 30, {}, ValueError, "is damaged before byte"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_damaged_and_foreign_files_name_the_byte(tmp_path, case):
    content, options, kind, message = case
    (tmp_path / "v").write_bytes(content)
    with pytest.raises(kind, match=rf"^vectors: '.*v'.*{message}".replace("\"b''\"", r"\"?b''\"?")):
        KeyedVectors.load_word2vec_format(tmp_path / "v", **options)


def test_other_bad_arguments(tmp_path):
    kv = make(3)
    kv.save_word2vec_format(tmp_path / "v", binary=True)
    load = KeyedVectors.load_word2vec_format
    for options, message in (
        ({"limit": 0}, "limit: expected an int >= 1, got 0"),
        ({"datatype": "int8"}, "dtype: expected float16, float32 or float64, got 'int8'"),
        ({"binary": True, "no_header": True}, "no_header: expected False for a binary file, got True"),
    ):
        with pytest.raises(ValueError, match=message):
            load(tmp_path / "v", **options)
    with pytest.raises(TypeError, match="binary: expected True or False, got 1"):
        load(tmp_path / "v", binary=1)
    with pytest.raises(FileNotFoundError, match=r"vectors: cannot read .*No such file"):
        load(tmp_path / "absent")
    with pytest.raises(ValueError, match="mmap: expected None or 'r', got 'w'"):
        KeyedVectors.load(tmp_path / "v", mmap="w")
    for name, other in {
        "Phrases": {"kind": "fastrnn.Phrases"},
        "list": [1],
        "keys": {"kind": "fastrnn.KeyedVectors"},
    }.items():
        checkpoint.save(tmp_path / name, other)
        with pytest.raises(ValueError, match=r"vectors: expected KeyedVectors in '.*', got "):
            KeyedVectors.load(tmp_path / name)


def test_keys_that_a_file_cannot_hold_are_refused_before_anything_is_written(tmp_path):
    for key in ("new york", "a\nb", " ", "\n"):
        kv = make(3)
        kv.add_vectors([key], np.zeros((1, 12)))
        with pytest.raises(ValueError, match="keys: expected no blank and no line end in a key, got"):
            kv.save_word2vec_format(tmp_path / "v")
        assert not os.listdir(tmp_path)
        for kind in ("own", "npz"):
            save, load = FORMATS[kind]
            save(kv, tmp_path / kind)
            vectors.same(load(tmp_path / kind), kv)
            os.unlink(tmp_path / kind)
