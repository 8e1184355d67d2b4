"""Models that count, and that of a fixed window: they are distributions, and know what they should."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from errors import Case, check
from tolerances import TABLE

import fastrnn
from fastrnn import BagOfWordsLanguageModel, LanguageModel, NGramLanguageModel, WindowLanguageModel
from fastrnn.data import Vocabulary

PAIR = "the film was good , not bad so we stay\n", "the film was bad , not good so we go\n"
TEXT = "".join(PAIR) * 30
GOOD, BAD = (line.rsplit(" ", 1)[0] for line in PAIR)
WORDS = Vocabulary.from_text(TEXT, "word")
EPS = TABLE["identity"].eps * np.finfo(np.float64).eps
CONTEXTS = ["", "the", "not good so we", "we film the", GOOD]


def models() -> list[Any]:
    """All that count."""
    ngrams = [
        NGramLanguageModel(WORDS, order, smoothing, 0.1 if smoothing == "add-k" else 1.0)
        for smoothing in ("kneser-ney", "add-k", "counts")
        for order in (1, 2, 4)
    ]
    return [model.fit(TEXT) for model in (*ngrams, BagOfWordsLanguageModel(WORDS, 4, 0.7))]


def test_they_are_distributions_and_agree_with_themselves() -> None:
    for model in models():
        for context in CONTEXTS:
            found = dict(model.next(context, len(WORDS)))
            assert math.fsum(found.values()) == pytest.approx(1, rel=EPS)
            for token in ("go", "good", "<unk>"):
                one = model.probabilities(f"{context} {token}")[-1]
                assert found[token] == pytest.approx(one, rel=EPS, abs=EPS)
        p = model.probabilities(TEXT)[1:]
        got = model.evaluate(TEXT)
        assert got.tokens == len(p) == len(WORDS.encode(TEXT)) - 1
        assert got.loss == pytest.approx(-np.log(p).mean(), rel=EPS)
        assert got.perplexity == math.exp(got.loss)
        assert got.impossible == 0


def test_counts_of_zero_and_contexts_that_never_came() -> None:
    model = NGramLanguageModel(WORDS, 2, "counts").fit(TEXT)
    assert model.probabilities("so we")[1] == 1
    assert model.probabilities("so film")[1] == 0
    assert model.probabilities("<unk> film")[1] == 1 / len(WORDS)
    assert model.evaluate("so film so we") == (math.inf, math.inf, 3, 2)
    added = NGramLanguageModel(WORDS, 2, "add-k", 0.5).fit(TEXT)
    assert added.probabilities("so film")[1] == 0.5 / (60 + 0.5 * len(WORDS))
    assert added.probabilities("<unk> film")[1] == 1 / len(WORDS)


def test_smoothing_is_better_than_adding_where_counts_are_few() -> None:
    topics = "\n".join(__import__("pydoc_data.topics", fromlist=["topics"]).topics.values())
    vocabulary = Vocabulary.from_text(topics, "word", max_size=2000)
    cut = len(topics) // 10 * 9
    losses = [
        NGramLanguageModel(vocabulary, 3, *how).fit(topics[:cut]).evaluate(topics[cut:]).loss
        for how in (("kneser-ney",), ("add-k", 0.01), ("add-k", 1.0))
    ]
    assert losses == sorted(losses)
    assert losses[0] < losses[1] - 0.5


def test_a_bag_of_words_cannot_tell_good_not_bad_from_bad_not_good() -> None:
    bag = BagOfWordsLanguageModel(WORDS, window=9).fit(TEXT)
    assert bag.table(GOOD) == bag.table(BAD)
    assert ("good", 1) in bag.table(GOOD)
    assert bag.next(GOOD, 3) == bag.next(BAD, 3)
    assert bag.table("good good bad") == [("bad", 1), ("good", 2)]


def test_what_sees_few_words_cannot_and_a_recurrent_network_can() -> None:
    options: dict[str, Any] = {"lr": 2e-2, "progress": False}
    short = WindowLanguageModel(WORDS, 2, embedding_size=8, hidden_size=8, seed=0)
    short.fit(TEXT, epochs=10, batch=16, **options)
    assert short.next(GOOD, 2) == short.next(BAD, 2)
    wide = WindowLanguageModel(WORDS, 6, embedding_size=8, hidden_size=8, seed=0)
    wide.fit(TEXT, TEXT[:200], epochs=25, batch=16, **options)
    recurrent = LanguageModel(WORDS, 16, 1, seed=0)
    recurrent.fit(TEXT, epochs=20, batch=2, steps=22, **options)
    for model in (wide, recurrent):
        for context, word in ((GOOD, "stay"), (BAD, "go")):
            ((best, p),) = model.next(context, 1)
            assert (best, p > 0.8) == (word, True)


def test_the_gradients_of_a_window_are_those_of_the_loss() -> None:
    model = WindowLanguageModel(WORDS, 3, embedding_size=4, hidden_size=5, dtype="float64", seed=0)
    x, targets = model._windows(TEXT, 32)[0]
    assert x.shape == (32, 3)
    assert [WORDS.tokens[k] for k in x[0]] == ["<eos>", "<eos>", "the"]
    assert WORDS.tokens[targets[0]] == "film"
    model.value_and_grad(x, targets)
    flat, step = model.flat_params, 1e-5
    for k in np.random.default_rng(0).choice(flat.size, 60, replace=False):
        before, losses = flat[k], []
        for moved in (before + step, before - step):
            flat[k] = moved
            losses.append(model.total(x, targets)[0])
        flat[k] = before
        slope = (losses[0] - losses[1]) / (2 * step * 32)
        assert abs(slope - model.flat_grads[k]) < np.sqrt(np.finfo(np.float64).eps)


def test_a_window_is_saved_and_drops_out(tmp_path: Any) -> None:
    model = WindowLanguageModel(
        Vocabulary.from_text(TEXT),
        3,
        embedding_size=4,
        hidden_size=5,
        dropout=0.2,
        embedding_dropout=0.1,
        seed=0,
    )
    history = model.fit(TEXT, TEXT[:100], epochs=2, progress=False)
    model.save(tmp_path / "model")
    again = WindowLanguageModel.load(tmp_path / "model")
    assert again.evaluate(TEXT) == model.evaluate(TEXT)
    assert again.evaluate(TEXT[:100]).loss == history.epochs[-1]["validation_loss"]
    assert again.evaluate(TEXT).tokens == len(TEXT) - 1


def window(**options: Any) -> WindowLanguageModel:
    """A small one."""
    return WindowLanguageModel(WORDS, **{"embedding_size": 2, "hidden_size": 2, **options})


ERRORS: dict[str, Case] = {
    "vocabulary": (
        lambda: NGramLanguageModel("ab"),  # type: ignore[arg-type]
        TypeError,
        "vocabulary: expected a Vocabulary, got str",
    ),
    "window vocabulary": (
        lambda: WindowLanguageModel("ab"),  # type: ignore[arg-type]
        TypeError,
        "vocabulary: expected a Vocabulary, got str",
    ),
    "order": (lambda: NGramLanguageModel(WORDS, 0), ValueError, "order: expected an int >= 1, got 0"),
    "smoothing": (
        lambda: NGramLanguageModel(WORDS, 2, "katz"),
        ValueError,
        "smoothing: expected one of 'kneser-ney', 'add-k', 'counts', got 'katz'",
    ),
    "k": (
        lambda: NGramLanguageModel(WORDS, 2, "add-k", 0.0),
        ValueError,
        "k: expected a positive number, got 0",
    ),
    "unfitted": (
        lambda: NGramLanguageModel(WORDS).next("the"),
        ValueError,
        "next: expected a fitted model, got one without counts; call fit first",
    ),
    "short": (
        lambda: NGramLanguageModel(WORDS, 5).fit("the film"),
        ValueError,
        "ids: expected at least order = 5 >= 1 ids, got shape (2,)",
    ),
    "no text": (
        lambda: BagOfWordsLanguageModel(WORDS).fit(""),
        ValueError,
        "text: expected at least one token, got none",
    ),
    "one token": (
        lambda: BagOfWordsLanguageModel(WORDS).fit(TEXT).evaluate("the"),
        ValueError,
        "text: expected at least 2 tokens, got 1",
    ),
    "window": (lambda: BagOfWordsLanguageModel(WORDS, 0), ValueError, "window: expected an int >= 1, got 0"),
    "share": (
        lambda: BagOfWordsLanguageModel(WORDS, share=1.0),
        ValueError,
        "share: expected 0 <= share < 1, got 1",
    ),
    "context": (lambda: window(context=0), ValueError, "context: expected an int >= 1, got 0"),
    "window text": (
        lambda: window().fit("the", progress=False),
        ValueError,
        "text: expected at least 2 tokens, got 1",
    ),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)


def test_they_are_at_the_top() -> None:
    for name in ("NGramLanguageModel", "BagOfWordsLanguageModel", "WindowLanguageModel"):
        assert getattr(fastrnn, name).__name__ == name
