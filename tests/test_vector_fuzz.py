"""Every reader of vectors on random and damaged files."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_vector_files import FORMATS
from vectors import make

from fastrnn import KeyedVectors
from fastrnn.word2vec import read_vectors
from fastrnn.word2vec._word2vec_format import read_counts

Readers = dict[str, Callable[[Path], object]]

# Every reader on files that are random, cut, or changed in a byte: it reads them, or says what is wrong.
READERS: Readers = {
    "text": lambda path: KeyedVectors.load_word2vec_format(path),
    "binary": lambda path: KeyedVectors.load_word2vec_format(path, binary=True),
    "no header": lambda path: KeyedVectors.load_word2vec_format(path, no_header=True),
    "limit": lambda path: KeyedVectors.load_word2vec_format(
        path, binary=True, limit=2, unicode_errors="ignore"
    ),
    "intersect": lambda path: make(4, 3).intersect_word2vec_format(path),
    "own": lambda path: KeyedVectors.load(path),
    "mapped": lambda path: KeyedVectors.load(path, mmap="r"),
    "npz": lambda path: KeyedVectors.load_npz(path),
    "counts": lambda path: read_counts(path, "utf8", "strict"),
    "any": read_vectors,
}


def samples() -> dict[str, bytes]:
    """One good file of each format."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "v")
        for kind in ("binary", "text", "own", "npz"):
            FORMATS[kind][0](make(4, 3), path)
            with open(path, "rb") as file:
                found[kind] = file.read()
    return found | {"gzip": gzip.compress(found["text"]), "gzip binary": gzip.compress(found["binary"])}


SAMPLES = samples()


def survives(path: Path, content: bytes, readers: Readers = READERS) -> None:
    """No reader does anything but read, or raise one of the errors that it promises, with a message."""
    path.write_bytes(content)
    for name, read in readers.items():
        message = name
        try:
            read(path)
        except (ValueError, EOFError) as error:
            message = str(error)
        assert message


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "v"


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=200) | st.text(" \n\t0123456789.-abe", max_size=80).map(str.encode))
@example(content=b"1 1\n")
@example(content=b"\x1f\x8b")
@example(content=b"PK\3\4")
def test_random_files(fuzzed, content):
    survives(fuzzed, content)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", SAMPLES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files(fuzzed, kind, data):
    content = bytearray(SAMPLES[kind])
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[at] = data.draw(st.integers(0, 255))
    survives(fuzzed, bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))]))
