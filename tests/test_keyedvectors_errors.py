"""Every bad argument of KeyedVectors is named, with the rule and what came."""

from __future__ import annotations

import numpy as np
import pytest
from errors import Case, check
from vectors import make

from fastrnn import KeyedVectors, Word2Vec
from fastrnn.word2vec._unknown_key import UnknownKey

KV = make()

ERRORS: dict[str, Case] = {
    "size": (lambda: KeyedVectors(-1), ValueError, "vector_size: expected an int >= 0, got -1"),
    "size float": (lambda: KeyedVectors(2.5), TypeError, "vector_size: expected an int, got 2.5"),
    "dtype": (
        lambda: KeyedVectors(2, dtype=int),
        ValueError,
        "dtype: expected float16, float32 or float64, got <class 'int'>",
    ),
    "nothing": (
        lambda: KV.most_similar(),
        ValueError,
        "positive: expected at least one key or vector, got none",
    ),
    "nothing in a batch": (
        lambda: KV.most_similar([["war"], []]),
        ValueError,
        "positive: expected at least one key or vector, got none",
    ),
    "number": (
        lambda: KV.most_similar([["war", 2.0]]),
        TypeError,
        "positive, negative: expected keys, vectors or (key, weight), got 2.0",
    ),
    "batches": (
        lambda: KV.most_similar([["war"]], [["man"], ["of"]]),
        ValueError,
        "negative: expected 1 lists, as positive has, got 2",
    ),
    "vector": (
        lambda: KV.similar_by_vector(np.zeros(3)),
        ValueError,
        "positive: expected vectors of shape (12,), got (3,)",
    ),
    "cosmul": (
        lambda: KV.most_similar_cosmul(negative="war"),
        ValueError,
        "positive: expected at least one key or vector, got none",
    ),
    "mean": (lambda: KV.get_mean_vector([]), ValueError, "keys: expected at least one, got none"),
    "mean weights": (
        lambda: KV.get_mean_vector(["war"], [1, 2]),
        ValueError,
        "weights: expected shape (1,), as there are keys, got (2,)",
    ),
    "missing": (
        lambda: KV.get_mean_vector(["zzz"], ignore_missing=False),
        UnknownKey,
        "key: expected one of the 40 keys, got 'zzz'",
    ),
    "row": (lambda: KV[40], UnknownKey, "key: expected one of the 40 keys, got 40"),
    "empty lists": (
        lambda: KV.n_similarity([], ["war"]),
        ZeroDivisionError,
        "ws1, ws2: expected at least one key in each, got none",
    ),
    "no words": (
        lambda: KV.doesnt_match(["zzz"]),
        ValueError,
        "words: expected at least one that is a key, got ['zzz']",
    ),
    "shape": (
        lambda: make(3).add_vectors(["a"], [[1, 2]]),
        ValueError,
        "weights: expected shape (keys, vector_size) = (1, 12), got (1, 2)",
    ),
    "extras": (
        lambda: make(3).add_vectors(["a"], np.zeros((1, 12)), extras={"count": np.zeros(2)}),
        ValueError,
        "extras: expected 1 values of 'count', got 2",
    ),
}


LETTERS = {  # of what would be read letter by letter
    "keys": lambda: KV.get_mean_vector("ab"),
    "ws2": lambda: KV.n_similarity(["a"], "ab"),
    "other_words": lambda: KV.distances("a", "ab"),
    "keys_list": lambda: KV.most_similar_to_given("a", "ab"),
    "words": lambda: KV.doesnt_match("ab"),
    "document1": lambda: KV.wmdistance("ab", ["a"]),
    "context_words_list": lambda: Word2Vec().predict_output_word("ab"),
}


@pytest.mark.parametrize("name", LETTERS)
def test_a_string_is_no_list(name: str) -> None:
    check((LETTERS[name], TypeError, f"{name}: expected a list of words, got the string 'ab'"))


def test_no_vectors_have_no_nearest() -> None:
    nothing = KeyedVectors(2)
    assert nothing.similar_by_vector(np.ones(2)) == []
    assert nothing.similar_by_vector(np.ones((3, 2))) == [[], [], []]
    assert nothing.most_similar_cosmul([np.ones(2)]) == []


def test_all_letters_are_no_list() -> None:
    with pytest.raises(TypeError, match=r"^keys: expected a list of words, got the string 'ab'$"):
        KV.vectors_for_all("ab")


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)
