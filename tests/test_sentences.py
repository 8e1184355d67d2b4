"""LineSentence and its kin: the same lists of words as gensim's, nothing cut off by default."""

from __future__ import annotations

import bz2
import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from conftest import peer
from hypothesis import given
from hypothesis import strategies as st

from fastrnn import Word2Vec
from fastrnn.word2vec import Corpus, LineSentence, PathLineSentences, Text8Corpus

TEXT = "the cat sat\n\nder Bär\u3000saß  dort\nend"
LINES = [["the", "cat", "sat"], ["der", "Bär", "saß", "dort"], ["end"]]
WRITE = {".txt": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}


@pytest.fixture(params=WRITE)
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The text, plain or compressed."""
    file = tmp_path / f"text{request.param}"
    file.write_bytes(WRITE[request.param](TEXT.encode()))
    return file


def test_lines(path: Path) -> None:
    lines = LineSentence(path)
    assert list(lines) == list(lines) == LINES
    assert list(LineSentence(str(path), limit=1)) == LINES[:1]
    cut = [["the", "cat", "sat"], ["der", "Bär", "saß"], ["dort"], ["end"]]
    assert list(LineSentence(path, max_sentence_length=3)) == cut
    assert Corpus.read(path).types[:3] == ["the", "cat", "sat"]


def test_open_file(path: Path) -> None:
    for file in (io.StringIO(TEXT), io.BytesIO(TEXT.encode())):
        lines = LineSentence(file)
        assert list(lines) == list(lines) == LINES


def test_folder(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("b b\nc", encoding="utf-8")
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"a\n"))
    assert list(PathLineSentences(tmp_path)) == [["a"], ["b", "b"], ["c"]]
    assert list(PathLineSentences(str(tmp_path), limit=1)) == [["a"], ["b", "b"]]
    assert list(PathLineSentences(tmp_path / "b.txt", max_sentence_length=1)) == [["b"], ["b"], ["c"]]


@given(
    text=st.text(st.sampled_from("ab\u00e4 \n\t"), max_size=60),
    length=st.integers(1, 9),
    chunk=st.integers(1, 9),
)
def test_text_without_lines(
    tmp_path_factory: pytest.TempPathFactory, text: str, length: int, chunk: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "text8"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastrnn.word2vec.sentences._CHUNK", chunk)
        got = list(Text8Corpus(path, length))
    words = text.split()
    assert got == [words[i : i + length] for i in range(0, len(words), length)]


def test_trains(path: Path) -> None:
    assert len(Word2Vec(LineSentence(path), min_count=1, vector_size=4, workers=1).wv) == 8


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_same_as_gensim(tmp_path: Path) -> None:
    theirs: Any = peer("gensim.models.word2vec")
    path = tmp_path / "text"
    path.write_bytes(TEXT.encode() * 50)
    assert list(LineSentence(path)) == list(theirs.LineSentence(str(path)))
    assert list(LineSentence(path, 2, 7)) == list(theirs.LineSentence(str(path), 2, 7))
    assert list(PathLineSentences(tmp_path)) == list(theirs.PathLineSentences(str(tmp_path)))
    assert list(Text8Corpus(path, 30)) == list(theirs.Text8Corpus(str(path), 30))


def test_wrong(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="source: expected a path or a file, got"):
        LineSentence([["a"]])
    with pytest.raises(ValueError, match="max_sentence_length: expected an int >= 1, got 0"):
        LineSentence("a", 0)
    with pytest.raises(ValueError, match="limit: expected an int >= 0, got -1"):
        PathLineSentences(tmp_path, limit=-1)
    with pytest.raises(
        ValueError, match=r"source: expected a file or a folder, got '.*none', which does not"
    ):
        PathLineSentences(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        list(LineSentence(tmp_path / "none"))
    (tmp_path / "bad").write_bytes(b"a \xff\n")
    with pytest.raises(UnicodeDecodeError):
        list(LineSentence(tmp_path / "bad"))
