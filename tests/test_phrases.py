"""Phrases: scores by hand, how sentences are cut, saving, and bad input. Against gensim: test_gensim.py."""

from __future__ import annotations

import math
from typing import Any

import checks
import numpy as np
import pytest
from errors import Case, check

from fastrnn import checkpoint
from fastrnn.word2vec import ENGLISH_CONNECTOR_WORDS, FrozenPhrases, Phrases
from fastrnn.word2vec.phrases import npmi_scorer, original_scorer

SENTENCES = [
    ["the", "bank", "of", "england", "in", "new", "york"],
    ["new", "york", "and", "the", "new", "bank", "of", "england"],
    ["york"],
    [],
]


def constant(
    worda_count: float,
    wordb_count: float,
    bigram_count: float,
    len_vocab: float,
    min_count: float,
    corpus_word_count: float,
) -> float:
    """A scorer of one's own."""
    return 1.0


def test_scores() -> None:
    checks.close(
        np.float64(original_scorer(4, 5, 3, 100, 1, 0)), np.array((3 - 1) / (4 * 5) * 100), "identity"
    )
    assert original_scorer(0, 5, 3, 100, 1, 0) == -math.inf
    want = math.log(0.03 / (0.04 * 0.05)) / -math.log(0.03)
    checks.close(np.float64(npmi_scorer(4, 5, 3, 0, 1, 100)), np.array(want), "identity")
    assert npmi_scorer(4, 5, 3, 0, 4, 100) == npmi_scorer(0, 5, 3, 0, 1, 100) == -math.inf


def test_counts_and_phrases() -> None:
    phrases = Phrases(SENTENCES, min_count=1, threshold=3, connector_words=ENGLISH_CONNECTOR_WORDS)
    assert phrases.vocab == {
        "bank": 2, "england": 2, "bank_of_england": 2, "new": 3, "york": 3, "new_york": 2,
        "england_in_new": 1, "york_and_the_new": 1, "new_bank": 1,
    }  # fmt: skip
    assert phrases.corpus_word_count == 16
    want = {"bank_of_england": (2 - 1) / 4 * 9}
    assert phrases.export_phrases() == {}
    phrases.threshold = 1.5
    assert phrases.export_phrases() == phrases.find_phrases(SENTENCES) == want
    assert list(phrases[SENTENCES])[1] == ["new", "york", "and", "the", "new", "bank_of_england"]
    assert list(phrases.freeze()[SENTENCES]) == list(phrases[SENTENCES])
    assert str(phrases) == "Phrases<9 vocab, min_count=1, threshold=1.5, max_vocab_size=40000000>"
    assert str(phrases.freeze()) == "FrozenPhrases<1 phrases, min_count=1, threshold=1.5>"


def test_connector_words_never_end_a_phrase() -> None:
    phrases = Phrases(SENTENCES, 1, 0.1, scoring=constant, connector_words={"of", "the"})
    assert phrases[["the", "bank", "of", "the", "bank"]] == ["the", "bank", "of", "the", "bank"]
    assert phrases[["the", "bank", "of", "england", "of"]] == ["the", "bank_of_england", "of"]
    assert phrases[[]] == []


def test_what_a_corpus_is() -> None:
    phrases = Phrases(iter(iter(s) for s in SENTENCES), 1, 0.1, scoring=constant)
    twice = phrases[SENTENCES]
    assert list(twice) == list(twice) == list(phrases[(s for s in SENTENCES)])
    assert phrases[iter(SENTENCES[0])] == phrases[SENTENCES[0]]


def test_rare_words_are_dropped_when_there_are_too_many() -> None:
    sentences = [[f"w{i}", "often", "seen"] for i in range(50)]
    phrases = Phrases(sentences, max_vocab_size=10)
    assert len(phrases.vocab) <= 10
    assert phrases.vocab["often_seen"] == 50


def test_progress() -> None:
    seen: list[tuple[int, int]] = []
    Phrases([["a", "b"]] * 10, progress_per=3, progress=lambda *at: seen.append(at))
    assert seen == [(3, 6), (6, 12), (9, 18)]


@pytest.mark.parametrize(
    "options", [{}, {"scoring": "npmi", "threshold": 0.1}, {"delimiter": " ", "min_count": 1.5}]
)
def test_saving(tmp_path: Any, options: dict[str, Any]) -> None:
    phrases = Phrases(SENTENCES, connector_words={"of"}, **{"min_count": 1, "threshold": 0.5} | options)
    for model in (phrases, phrases.freeze()):
        model.save(tmp_path / "p")
        found = type(model).load(tmp_path / "p")
        assert list(found[SENTENCES]) == list(model[SENTENCES])
        assert {k: v for k, v in vars(found).items() if k != "_progress"} == {
            k: v for k, v in vars(model).items() if k != "_progress"
        }
    found = Phrases(SENTENCES)
    phrases.save(tmp_path / "p")
    found = Phrases.load(tmp_path / "p")
    found.add_vocab([["more", "words"]])
    assert found.corpus_word_count == 18


def test_saving_a_scorer_of_ones_own(tmp_path: Any) -> None:
    phrases = Phrases(SENTENCES, 1, 0.1, scoring=constant)
    for model in (phrases, phrases.freeze()):
        model.save(tmp_path / "p")
        with pytest.raises(
            ValueError, match=r"scoring: expected the function that '.*p' was made with, got None"
        ):
            type(model).load(tmp_path / "p")
        assert list(type(model).load(tmp_path / "p", scoring=constant)[SENTENCES]) == list(model[SENTENCES])


def test_files_of_something_else(tmp_path: Any) -> None:
    Phrases(SENTENCES).save(tmp_path / "p")
    with pytest.raises(
        ValueError, match=r"phrases: expected fastrnn.FrozenPhrases in '.*p', got another tree"
    ):
        FrozenPhrases.load(tmp_path / "p")
    tree = checkpoint.load(tmp_path / "p")
    for name in tree:
        checkpoint.save(tmp_path / "p", {k: v for k, v in tree.items() if k != name})
        with pytest.raises(ValueError, match=r"phrases: expected fastrnn\.Phrases in"):
            Phrases.load(tmp_path / "p")


ERRORS: dict[str, Case] = {
    "text": (
        lambda: Phrases("a text"),
        TypeError,
        "sentences: expected an iterable of token lists, got the str 'a text'",
    ),
    "texts": (
        lambda: Phrases([["a"], "a text"]),
        TypeError,
        "sentences: expected token lists, got the str 'a text' at 1",
    ),
    "sentence": (
        lambda: Phrases(SENTENCES)["a text"],
        TypeError,
        "sentence: expected a list of tokens, got the str 'a text'",
    ),
    "min_count": (lambda: Phrases(min_count=0), ValueError, "min_count: expected a number > 0, got 0"),
    "threshold": (
        lambda: Phrases(threshold=-1),
        ValueError,
        "threshold: expected a number > 0 for scoring='default', got -1",
    ),
    "npmi": (
        lambda: Phrases(scoring="npmi"),
        ValueError,
        "threshold: expected -1 <= threshold <= 1 for scoring='npmi', got 10.0",
    ),
    "scoring": (
        lambda: Phrases(scoring="other"),
        ValueError,
        "scoring: expected one of 'default', 'npmi', got 'other'",
    ),
    "parameters": (
        lambda: Phrases(scoring=lambda worda_count, len_vocab, min_count, corpus_word_count: 0),
        ValueError,
        "scoring: expected a function of worda_count, wordb_count, bigram_count, len_vocab, min_count, "
        "corpus_word_count, got none of ['wordb_count', 'bigram_count']",
    ),
    "delimiter": (lambda: Phrases(delimiter=b"_"), TypeError, "delimiter: expected a str, got bytes"),
    "size": (lambda: Phrases(max_vocab_size=0), ValueError, "max_vocab_size: expected an int >= 1, got 0"),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)
