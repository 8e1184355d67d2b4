"""A corpus from anything: the same ids from every form, nothing cut off, errors that say what is wrong."""

from __future__ import annotations

import gzip
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastrnn.word2vec import Corpus
from fastrnn.word2vec._strings import Strings

SENTENCES = [["the", "cat", "sat"], ["the", "naïve", "猫", "🙂"], [], ["cat"] * 20_000, ["the"]]


def sentences_of(corpus: Corpus) -> list[list[Any]]:
    """The corpus as lists again."""
    ends = corpus.offsets
    return [[corpus.types[i] for i in corpus.ids[a:b]] for a, b in itertools.pairwise(ends)]


def check(corpus: Corpus, sentences: list[list[Any]]) -> None:
    """All of it is there, in order; types in the order in which they are met, with their counts."""
    tokens = [t for s in sentences for t in s]
    assert sentences_of(corpus) == [s for s in sentences if s]
    assert list(corpus.types) == list(dict.fromkeys(tokens))
    assert dict(zip(corpus.types, corpus.counts.tolist(), strict=True)) == Counter(tokens)
    assert corpus.ids.dtype == np.int32
    assert corpus.offsets.dtype == np.int64


def write(path: Path, sentences: list[list[str]], end: str = "\n") -> Path:
    """One sentence a line."""
    data = end.join(" ".join(s) for s in sentences).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("name", ["a.txt", "a.gz"])
def test_files(tmp_path: Path, name: str, threads: int) -> None:
    check(Corpus.read(write(tmp_path / name, SENTENCES), threads=threads), SENTENCES)


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_blocks(tmp_path: Path, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a block ends: inside of a word, of a character, or of nothing but one long word."""
    sentences = [*SENTENCES[:3], ["x" * 300, "ü" * 50], ["a", "b"]]
    path = write(tmp_path / "a.txt", sentences)
    for size in range(1, 40):
        monkeypatch.setattr("fastrnn.word2vec.corpus._BLOCK", size)
        check(Corpus.read(path, threads=threads), sentences)


def test_folder(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    write(tmp_path / "a.txt", SENTENCES[:2])
    write(tmp_path / "b" / "c.gz", SENTENCES[2:])
    check(Corpus.read(tmp_path), SENTENCES)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r\n", "\n\n"])
def test_white_space_is_that_of_python(tmp_path: Path, end: str) -> None:
    """A line ends with a line feed alone, as for gensim and `LineSentence`."""
    spaces = [chr(c) for c in range(0x3001) if chr(c).isspace() and chr(c) != "\n"]
    assert len(spaces) > 20
    path = tmp_path / "a.txt"
    path.write_bytes(end.join(f"a{s}{s}b{s}" for s in spaces).encode())
    check(Corpus.read(path), [["a", "b"] for _ in spaces])


@pytest.mark.parametrize(
    "source",
    [
        SENTENCES,
        tuple(SENTENCES),
        iter(SENTENCES),
        (iter(s) for s in SENTENCES),
        [tuple(s) for s in SENTENCES],
    ],
    ids=["list", "tuple", "iterator", "generator", "tuples"],
)
def test_iterables(source: Any) -> None:
    check(Corpus.read(source), SENTENCES)


def test_tokenizer(tmp_path: Path) -> None:
    lines = [" ".join(s) for s in SENTENCES]
    check(Corpus.read(lines, tokenizer=str.split), SENTENCES)
    check(Corpus.read(write(tmp_path / "a.txt", SENTENCES), tokenizer=str.split), SENTENCES)


def test_integers() -> None:
    ids, offsets = np.array([3, 1, 3, 0]), np.array([0, 1, 1, 4])
    for kind in (np.int64, np.int32, np.uint8):
        corpus = Corpus.read((ids.astype(kind), offsets))
        assert sentences_of(corpus) == [[3], [1, 3, 0]]
        assert list(corpus.types) == [0, 1, 2, 3]
        assert corpus.counts.tolist() == [1, 1, 0, 2]
    assert sentences_of(Corpus.read(ids.reshape(2, 2))) == [[3, 1], [3, 0]]
    assert sentences_of(Corpus.read([ids[:1], ids[1:]])) == [[3], [1, 3, 0]]
    same = ids.astype(np.int32)
    assert np.shares_memory(Corpus.read((same, offsets)).ids, same)


def test_integers_far_apart() -> None:
    corpus = Corpus.read((np.array([10**15, 7, 10**15]), np.array([0, 3])))
    assert list(corpus.types) == [7, 10**15]
    assert corpus.ids.tolist() == [1, 0, 1]


def test_cache(tmp_path: Path) -> None:
    path = tmp_path / "corpus"
    check(Corpus.read(iter(SENTENCES), cache=path), SENTENCES)
    again = Corpus.read(path)
    check(again, SENTENCES)
    assert isinstance(again.ids, np.memmap)
    assert [p.name for p in tmp_path.iterdir()] == ["corpus"]


def test_cache_of_integers(tmp_path: Path) -> None:
    far = np.array([10**15, 7, 10**15]), np.array([0, 1, 1, 3])
    for source in (far, (np.array([2, 0, 2]), far[1])):
        want = Corpus.read(source)
        for found in (Corpus.read(source, cache=tmp_path / "corpus"), Corpus.read(tmp_path / "corpus")):
            assert sentences_of(found) == sentences_of(want)
            assert list(found.types) == list(want.types)
            assert found.counts.tolist() == want.counts.tolist()


def test_ids_are_never_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a cache they are in a file that has no name."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    corpus = Corpus.read(iter(SENTENCES))
    assert isinstance(corpus.ids, np.memmap)
    assert list(tmp_path.iterdir()) == []
    check(corpus, SENTENCES)


def test_strings() -> None:
    words = ["naïve", "", "猫", "a", "🙂"]
    strings = Strings.of(words)
    assert list(strings) == words == strings[:]
    assert [strings[i] for i in range(-5, 5)] == words * 2
    assert strings[3:0:-2] == words[3:0:-2]
    for wrong in (5, -6):
        with pytest.raises(IndexError):
            strings[wrong]


def test_cache_of_an_error(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        Corpus.read([["a"], ["b", 3]], cache=tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


def test_cut_cache(tmp_path: Path) -> None:
    path = tmp_path / "corpus"
    Corpus.read(SENTENCES, cache=path)
    whole = path.read_bytes()
    for size in (64, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=f"expected a corpus file of {len(whole)} bytes, got {size}"):
            Corpus.read(path)


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "a string": (["the", "cat"], TypeError, "expected lists of tokens, got str 'the' as sentence 0"),
    "bytes": ([b"the"], TypeError, "expected lists of tokens, got bytes"),
    "a number": (
        [["a"], 3],
        TypeError,
        "expected lists of tokens, got int 3 as sentence 1; integer ids go in",
    ),
    "tokens": ([["a"], ["b", 3]], TypeError, "expected tokens that are strings, got int 3 in sentence 1"),
    "None": ([["a", None]], TypeError, "expected tokens that are strings, got NoneType None in sentence 0"),
    "nothing": ([], ValueError, "expected a corpus with at least one token, got an empty one"),
    "empty": ([[], []], ValueError, "expected a corpus with at least one token, got an empty one"),
    "no ids": ((np.zeros(0, int), np.zeros(1, int)), ValueError, "expected a corpus with at least one token"),
    "below 0": ((np.array([1, -2]), np.array([0, 2])), ValueError, "ids: expected integers >= 0, got -2"),
    "floats": ((np.array([1.0]), np.array([0, 1])), TypeError, "ids: expected NumPy integers, got float64"),
    "offsets": ((np.array([1, 2]), np.array([0, 3])), ValueError, "offsets: expected ascending from 0 to 2"),
    "order": ((np.array([1, 2]), np.array([0, 3, 2])), ValueError, "offsets: expected ascending from 0 to 2"),
    "no iterable": (3, TypeError, "expected an iterable of lists of tokens, got 3"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong(what: str) -> None:
    source, kind, message = WRONG[what]
    with pytest.raises(kind) as raised:
        Corpus.read(source)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("wrong", "offset"),
    [
        (b"\xff", 6),
        (b"ab\xc3", 8),
        (b"\xc0\xaf", 6),
        (b"\xed\xa0\x80", 6),
        (b"a\xf5\x80\x80\x80", 7),
        (b"\x80", 6),
    ],
)
@pytest.mark.parametrize("threads", [1, 3])
def test_invalid_utf8(tmp_path: Path, wrong: bytes, offset: int, threads: int) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("ä cc ".encode() + wrong + b" d\n")
    with pytest.raises(
        ValueError, match=f"a.txt: expected UTF-8, got byte {wrong[offset - 6]} at offset {offset};"
    ):
        Corpus.read(path, threads=threads)
    left = [w for w in path.read_bytes().decode(errors="ignore").split() if w]
    assert sentences_of(Corpus.read(path, errors="ignore", threads=threads)) == [left]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Corpus.read(tmp_path / "none")
    with pytest.raises(ValueError, match="got an empty folder"):
        Corpus.read(tmp_path)


def test_the_cache_is_another_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", SENTENCES) or tmp_path / "a.txt"
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"^cache: expected another file than the corpus, got "):
        Corpus.read(path, cache=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["a.txt", "a.gz", "a.bz2"])
def test_what_is_wrong_with_a_file_has_its_name(tmp_path: Path, name: str) -> None:
    """Damaged archives, and bytes that are no UTF-8, whoever splits the lines."""
    path = tmp_path / name
    text = b"ok ok ok\nbad \xff\n"
    path.write_bytes({".txt": text, ".gz": gzip.compress(text)[:-9], ".bz2": b"no archive"}[path.suffix])
    for tokenizer in (None, str.split):
        with pytest.raises(ValueError, match=r"^.*a\.(txt|gz|bz2): ") as raised:
            Corpus.read(path, tokenizer=tokenizer)
        if name == "a.txt":
            assert str(raised.value) == (
                f"{path}: expected UTF-8, got byte 255 at offset 13; errors='ignore' leaves such bytes out"
            )
