"""Word2Vec says what is wrong; its signature and its beginning are those of gensim."""

from __future__ import annotations

import inspect
from typing import Any

import checks
import numpy as np
import pytest
from conftest import peer
from word2vec import model, topics

from fastrnn import Word2Vec


@pytest.fixture(scope="module")
def sentences() -> list[list[str]]:
    """A corpus with something to learn."""
    return topics(np.random.default_rng(1))


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "string": ({"sentences": "the cat"}, TypeError, "sentences: expected lists of tokens, got a string"),
    "strings": ({"sentences": ["the cat"]}, TypeError, "got str 'the cat' as sentence 0; split it"),
    "both": ({"sentences": [["a"]], "corpus_file": "a"}, TypeError, "expected one of them, got both"),
    "rare": (
        {"sentences": [["a", "b", "a"]]},
        ValueError,
        "occurs 5 times, but the most frequent of 2 has 2",
    ),
    "nan": ({"alpha": np.nan}, ValueError, "alpha: expected a finite number >= 0, got nan"),
    "rate": ({"min_alpha": -1}, ValueError, "min_alpha: expected a finite number >= 0, got -1"),
    "size": ({"vector_size": 0}, ValueError, "vector_size: expected an int >= 1, got 0"),
    "window": ({"window": -1}, ValueError, "window: expected an int >= 1, got -1"),
    "negative": ({"negative": -5}, ValueError, "negative: expected an int >= 0, got -5"),
    "nothing": ({"negative": 0}, ValueError, "hs, negative: expected at least one"),
    "epochs": ({"epochs": 1.5}, TypeError, "epochs: expected an int, got 1.5"),
    "sg": ({"sg": 2}, ValueError, "sg: expected an int <= 1, got 2"),
    "seed": ({"seed": -1}, ValueError, "seed: expected an int >= 0, got -1"),
    "compat": ({"compat": "c"}, ValueError, "compat: expected one of 'gensim', 'word2vec', got 'c'"),
    "trim rule": ({"trim_rule": 3}, TypeError, "trim_rule: expected a function or None, got 3"),
    "workers": ({"workers": 0}, ValueError, "workers: expected an int >= 1, got 0"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong(what: str) -> None:
    options, kind, message = WRONG[what]
    with pytest.raises(kind) as raised:
        Word2Vec(**options)
    assert message in str(raised.value)


def test_wrong_order_of_calls(sentences: list[list[str]]) -> None:
    empty = Word2Vec()
    with pytest.raises(RuntimeError, match="expected a vocabulary, got none; call build_vocab first"):
        empty.train(sentences, epochs=1)
    with pytest.raises(RuntimeError, match="update: expected a vocabulary to add to"):
        empty.build_vocab(sentences, update=True)
    with pytest.raises(ValueError, match="epochs: expected the number of epochs"):
        model(sentences, epochs=1).train(sentences)
    with pytest.raises(ValueError, match="expected words of the vocabulary, got none"):
        model(sentences, epochs=1).train([["x", "y"]], epochs=1)
    with pytest.raises(AttributeError, match="syn1: expected a vocabulary and hs > 0"):
        _ = model(sentences, epochs=1).syn1


def test_divergence_is_an_error(sentences: list[list[str]]) -> None:
    with pytest.raises(FloatingPointError, match="alpha: expected a learning rate that converges"):
        model(sentences, alpha=1e30, sg=1)


def test_compat(sentences: list[list[str]]) -> None:
    theirs = model(None, compat="word2vec", alpha=0.025)
    assert (theirs.alpha, theirs.min_alpha) == (0.05, 0.05 * 1e-4)
    assert (model(None, compat="word2vec", alpha=0.025, sg=1).alpha) == 0.025
    theirs.build_vocab(sentences)
    assert np.abs(theirs.wv.vectors).max() < 0.5 / 20


@pytest.mark.peer
def test_signature_is_that_of_gensim() -> None:
    gensim = peer("gensim.models")
    for name in ("__init__", "build_vocab", "build_vocab_from_freq", "train", "score", "predict_output_word"):
        theirs = inspect.signature(getattr(gensim.Word2Vec, name)).parameters.values()
        ours = inspect.signature(getattr(Word2Vec, name)).parameters.values()
        want = [(p.name, p.default) for p in theirs if p.kind is not p.VAR_KEYWORD]
        assert [(p.name, p.default) for p in ours if p.kind is not p.KEYWORD_ONLY] == want


@pytest.mark.peer
def test_beginning_is_that_of_gensim(sentences: list[list[str]]) -> None:
    gensim = peer("gensim.models")
    for options in ({}, {"sample": 1e-2}, {"sample": 3.0}, {"max_final_vocab": 17}, {"hs": 1, "negative": 0}):
        theirs = gensim.Word2Vec(vector_size=20, **options)
        ours = Word2Vec(vector_size=20, **options)
        for one in (theirs, ours):
            one.build_vocab(sentences)
        checks.same_bits(ours.wv.vectors, theirs.wv.vectors)
        assert set(ours.wv.index_to_key) == set(theirs.wv.index_to_key)
        for word in ours.wv.index_to_key:
            for attribute in ("count", "sample_int"):
                want = theirs.wv.get_vecattr(word, attribute)
                assert abs(int(ours.wv.get_vecattr(word, attribute)) - int(want)) <= 1


def test_reset_from(sentences: list[list[str]]) -> None:
    trained, other = model(sentences), model([["x", "y", "x"] * 9])
    trained.reset_from(other)
    assert trained.wv.key_to_index == other.wv.key_to_index == {"x": 0, "y": 1}
    assert trained.wv.get_vecattr("x", "count") == 18
    assert (trained.corpus_count, trained.wv.vectors.shape, trained.syn1neg.shape) == (1, (2, 20), (2, 20))
    trained.train([["x", "y"]] * 9, epochs=1)
    trained.wv.add_vectors(["new"], np.ones((1, 20), np.float32))
    assert other.wv.index_to_key == ["x", "y"]
    for wrong, name in ((Word2Vec(), "Word2Vec"), (3, "3")):
        with pytest.raises(TypeError, match=f"other_model: expected a model with a vocabulary, got {name}"):
            trained.reset_from(wrong)


def test_warnings_of_gensim(sentences: list[list[str]], caplog: pytest.LogCaptureFixture) -> None:
    trained = model(sentences, epochs=1)
    assert not caplog.records
    trained.train(sentences, epochs=1, start_alpha=0.04)
    trained.train(sentences, epochs=1, start_alpha=0.2, end_alpha=0.1)
    model(None, hs=1, negative=5)
    messages = [record.message for record in caplog.records]
    rises = "Effective 'alpha' higher than previous training cycles"
    assert messages[-2:] == [rises, "Both hierarchical softmax and negative sampling are activated."]


def test_predicting_without_a_vocabulary(sentences: list[list[str]]) -> None:
    empty = Word2Vec()
    empty.wv = model(sentences, epochs=0).wv
    with pytest.raises(RuntimeError, match="expected a model with a vocabulary of its own; call build_vocab"):
        empty.predict_output_word(["a1"])
