"""What a script written for gensim meets in models: codes, mapped files, arguments of `save`, memory."""

from __future__ import annotations

from pathlib import Path

import checks
import numpy as np
import pytest
from word2vec import model, topics

from fastrnn import KeyedVectors, Word2Vec


@pytest.fixture(scope="module")
def sentences() -> list[list[str]]:
    """A corpus with something to learn."""
    return topics(np.random.default_rng(1), 200)


def test_codes_of_words(sentences: list[list[str]]) -> None:
    """Each word has the turns of its path and the nodes where they are taken, all from one root."""
    trained = model(sentences, hs=1, negative=0, epochs=1)
    codes = [tuple(trained.wv.get_vecattr(word, "code")) for word in trained.wv.index_to_key]
    points = [trained.wv.get_vecattr(i, "point") for i in range(40)]
    assert len(set(codes)) == 40
    assert sum(2.0 ** -len(code) for code in codes) == 1
    assert {len(code) - len(point) for code, point in zip(codes, points, strict=True)} == {0}
    assert {int(point[0]) for point in points} == {38}
    assert not trained.syn1[39].any()
    assert trained.syn1[:39].any(axis=1).all()
    with pytest.raises(KeyError, match="attr: expected one of"):
        model(sentences, epochs=1).wv.get_vecattr("a1", "code")


def test_mapped(sentences: list[list[str]], tmp_path: Path) -> None:
    """Tables that stay in the file answer as others do, and come into memory to be trained."""
    trained = model(sentences, hs=1, epochs=1)
    trained.save(tmp_path / "model", sep_limit=0)
    mapped, loaded = (Word2Vec.load(tmp_path / "model", mmap=mode) for mode in ("r", None))
    assert not mapped.wv.vectors.flags.writeable
    checks.same_bits(mapped.syn1neg, trained.syn1neg)
    assert mapped.wv.most_similar("a1") == trained.wv.most_similar("a1")
    assert mapped.predict_output_word(["a1"]) == trained.predict_output_word(["a1"])
    for each in (mapped, loaded):
        each.train(sentences, epochs=1)
    checks.same_bits(mapped.wv.vectors, loaded.wv.vectors)
    checks.same_bits(mapped.syn1, loaded.syn1)
    trained.wv.save(tmp_path / "wv", sep_limit=0)
    checks.same_bits(KeyedVectors.load(tmp_path / "wv", mmap="r").vectors, trained.wv.vectors)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (
            {"ignore": ["vectors"]},
            ValueError,
            "ignore: expected no names, as models are saved whole, got ['vectors']",
        ),
        ({"sep_limit": -1}, ValueError, "sep_limit: expected an int >= 0, got -1"),
        ({"separately": 3}, TypeError, "separately: expected names or None, got 3"),
    ],
)
def test_wrong_saving(tmp_path: Path, options: dict, kind: type[Exception], message: str) -> None:
    kv = KeyedVectors(2)
    for each in (model(None), kv):
        with pytest.raises(kind) as raised:
            each.save(tmp_path / "model", **options)
        assert str(raised.value) == message
    with pytest.raises(ValueError, match=r"mmap: expected None or 'r', got 'w\+'"):
        Word2Vec.load(tmp_path / "model", mmap="w+")
