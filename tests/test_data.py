"""Text, vocabularies and streams."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.data import END_OF_LINE, IGNORED, UNKNOWN, Streams, Vocabulary, read_text, text_digest


def test_reading_drops_the_mark_and_carriage_returns(tmp_path):
    (tmp_path / "a").write_bytes("\ufeffGrüße\r\nb\n".encode())
    assert read_text(tmp_path / "a") == "Grüße\nb\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty file"),
        (b" \n\n", "got an empty file"),
        (b"abc\0def", "got a binary file: .* NUL byte at 3"),
        (b"\x7fELF\x02\x01\x01\0", "got a binary file"),
        (b"gr\xfcn", "got byte 0xfc at 2"),
        ("é".encode()[:1], "got byte 0xc3 at 0"),
        ("text".encode("utf-16"), "binary file|got byte 0xff at 0"),
    ],
)
def test_reading_bad_files(tmp_path, content, message):
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(ValueError, match=rf"^text: expected .*{message}"):
        read_text(tmp_path / "bad")


def test_reading_what_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"text: cannot read .*No such file"):
        read_text(tmp_path / "absent")
    with pytest.raises(IsADirectoryError, match="text: cannot read"):
        read_text(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="text: expected a regular file"):
        read_text(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_reading_without_permission(tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "a").chmod(0)
    with pytest.raises(PermissionError, match="text: cannot read"):
        read_text(tmp_path / "a")


@given(st.text(min_size=1))
def test_characters_come_back(text):
    vocabulary = Vocabulary.from_text(text)
    ids = vocabulary.encode(text)
    assert ids.dtype == np.int32
    assert vocabulary.decode(ids) == text
    assert Vocabulary.from_dict(vocabulary.to_dict()) == vocabulary
    assert len(text_digest(text)) == 64


def test_words_are_counted_and_lines_end():
    text = "b a a\n<unk> c a\n\nb <eos>"
    vocabulary = Vocabulary.from_text(text, "word")
    assert vocabulary.tokens == (UNKNOWN, END_OF_LINE, "a", "b", "c")
    assert vocabulary.encode(text).tolist() == [3, 2, 2, 1, 0, 4, 2, 1, 1, 3, 1]
    assert vocabulary.decode([3, 2, 1, 4, 1]) == "b a\nc\n"
    assert vocabulary.decode([1, 3, 1, 1, 2]) == "\nb\n\na"
    assert Vocabulary.from_dict(vocabulary.to_dict()) == vocabulary
    assert Vocabulary.from_text(text, "word", max_size=4).tokens == (UNKNOWN, END_OF_LINE, "a", "b")
    assert vocabulary.encode("zebra").tolist() == [0]
    assert vocabulary.id("zebra") == 0
    assert "zebra" not in vocabulary
    assert "c" in vocabulary


def test_characters_and_words_differ():
    assert Vocabulary.from_text("a", "word") != Vocabulary.from_text("a")
    assert hash(Vocabulary("ab")) == hash(Vocabulary(["a", "b"]))
    assert repr(Vocabulary("ab")) == "<Vocabulary of 2 characters>"


@pytest.mark.parametrize("odd", ["d", "\0", "\U0010ffff", "\ud800"])
def test_an_unknown_character_is_named(odd):
    with pytest.raises(ValueError, match=r"text: expected one of the vocabulary's 3 characters, got .* at 2"):
        Vocabulary("abc").encode("ab" + odd)
    with pytest.raises(KeyError):
        Vocabulary("abc").id(odd)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Vocabulary([]), ValueError, "tokens: expected distinct tokens, got 0"),
        (lambda: Vocabulary("aa"), ValueError, "got 2, 1 distinct"),
        (lambda: Vocabulary(["ab"]), ValueError, "tokens: expected single characters, got 'ab'"),
        (lambda: Vocabulary([1]), TypeError, "tokens: expected str, got int"),
        (lambda: Vocabulary(["a"], "word"), ValueError, "tokens: expected '<unk>' among the words"),
        (lambda: Vocabulary(["a"], "line"), ValueError, "unit: expected 'character' or 'word', got 'line'"),
        (lambda: Vocabulary.from_text(""), ValueError, "text: expected some text, got an empty string"),
        (lambda: Vocabulary.from_text(b"a"), TypeError, "text: expected str, got bytes"),
        (lambda: Vocabulary.from_text("a", max_size=9), ValueError, "max_size: expected None for characters"),
        (lambda: Vocabulary.from_text("a", "word", 1), ValueError, "max_size: expected at least 2, got 1"),
        (lambda: Vocabulary("a").encode(None), TypeError, "text: expected str, or tokens or ids, got None"),
        (
            lambda: Vocabulary.from_sentences([["a"], "b c"]),
            TypeError,
            r"^sentences\[1\]: expected a list of words, got .b c.$",
        ),
    ],
)
def test_bad_vocabularies(make, error, message):
    with pytest.raises(error, match=message):
        make()


def ids(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int32)


@given(st.integers(2, 200), st.integers(1, 9), st.integers(1, 9))
def test_training_streams(n, batch, steps):
    if n - 1 < batch * steps:
        with pytest.raises(
            ValueError, match=rf"text: expected at least batch \* steps \+ 1 = {batch} \* {steps} \+ 1"
        ):
            Streams(ids(n), batch, steps)
        return
    streams = Streams(ids(n), batch, steps)
    chunks = list(streams)
    assert len(chunks) == len(streams) == (n - 1) // batch // steps
    assert all(x.shape == y.shape == (steps, batch) for x, y in chunks)
    assert all((y == x + 1).all() for x, y in chunks)
    rows = np.concatenate([x for x, _ in chunks])
    assert (np.diff(rows, axis=0) == 1).all()
    assert len(np.unique(rows)) == rows.size == streams.tokens


@given(st.integers(2, 200), st.integers(1, 9), st.integers(1, 9))
def test_whole_streams_have_each_prediction_once(n, batch, steps):
    streams = Streams(ids(n), batch, steps, whole=True)
    targets = np.concatenate([y for _, y in streams])
    inputs = np.concatenate([x for x, _ in streams])
    kept = targets != IGNORED
    assert sorted(targets[kept].tolist()) == list(range(1, n))
    assert (targets[kept] == inputs[kept] + 1).all()
    assert inputs.min() >= 0
    assert kept.sum() == streams.tokens == n - 1


def test_chunks_are_contiguous_views():
    streams = Streams(ids(101), 4, 5)
    x, y = streams[2]
    assert x.flags.c_contiguous
    assert y.flags.c_contiguous
    assert np.shares_memory(x[1:], y[:-1])
    with pytest.raises(IndexError):
        streams[len(streams)]


def test_fingerprints_tell_data_apart():
    base = Streams(ids(101), 4, 5).fingerprint()
    other = ids(101)
    other[50] = 0
    for streams in (Streams(other, 4, 5), Streams(ids(101), 5, 4), Streams(ids(102), 4, 5)):
        assert streams.fingerprint() != base
    assert Streams(ids(101), 4, 5).fingerprint() == base


@pytest.mark.parametrize("bad", [0, -1, 2.0, True, None])
def test_bad_batch_or_steps(bad):
    with pytest.raises((ValueError, TypeError), match=r"^batch: expected"):
        Streams(ids(9), bad, 1)
    with pytest.raises((ValueError, TypeError), match=r"^steps: expected"):
        Streams(ids(9), 1, bad)


def test_bad_ids():
    message = r"ids: expected integers of one axis, got float64 of shape \(3,\)"
    with pytest.raises(TypeError, match=message):
        Streams(np.arange(3.0), 1, 1)
    with pytest.raises(ValueError, match="text: expected at least 2 tokens, got 1"):
        Streams(ids(1), 1, 1, whole=True)
