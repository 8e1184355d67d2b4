"""Scores of word pairs, and phrases found in sentences by them."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator
from inspect import signature
from typing import TYPE_CHECKING, Any

from fastrnn import checkpoint
from fastrnn._files import Path

if TYPE_CHECKING:
    from typing_extensions import Self

Scoring = Callable[..., float]

# No phrase begins or ends with one of these; inside of a phrase there may be any number of them.
ENGLISH_CONNECTOR_WORDS = frozenset(
    {"a", "an", "the"}  # articles
    | {"for", "of", "with", "without", "at", "from", "to", "in", "on", "by"}  # prepositions
    | {"and", "or"}
)


def original_scorer(
    worda_count: float,
    wordb_count: float,
    bigram_count: float,
    len_vocab: float,
    min_count: float,
    corpus_word_count: float,
) -> float:
    """
    Score a pair as (n_ab - min_count) V / (n_a n_b).

    Mikolov et al., *Distributed Representations of Words and Phrases and their Compositionality*, 2013,
    times the size V of the vocabulary.
    """
    product = worda_count * wordb_count
    return (bigram_count - min_count) / product * len_vocab if product else -math.inf


def npmi_scorer(
    worda_count: float,
    wordb_count: float,
    bigram_count: float,
    len_vocab: float,
    min_count: float,
    corpus_word_count: float,
) -> float:
    """
    Score a pair as ln(p_ab / (p_a p_b)) / -ln p_ab, in [-1, 1]; -inf for pairs rarer than `min_count`.

    Bouma, *Normalized (Pointwise) Mutual Information in Collocation Extraction*, 2009.
    """
    if bigram_count < min_count or not (worda_count and wordb_count and bigram_count):
        return -math.inf
    total = float(corpus_word_count)
    a, b, ab = worda_count / total, wordb_count / total, bigram_count / total
    return math.log(ab / (a * b)) / -math.log(ab)


SCORERS: dict[str, Scoring] = {"default": original_scorer, "npmi": npmi_scorer}
PARAMETERS = list(signature(original_scorer).parameters)


class Transformation:
    """What Phrases and FrozenPhrases share: finding phrases in sentences."""

    threshold: float
    min_count: float
    delimiter: str
    scoring: Scoring

    def __init__(self, connector_words: Iterable[str]) -> None:
        self.connector_words = frozenset(connector_words)

    def score_candidate(
        self, word_a: str, word_b: str, in_between: list[str]
    ) -> tuple[str, float] | tuple[None, None]:
        """Return the joined phrase and its score, or (None, None) where there is no phrase."""
        raise NotImplementedError

    def analyze_sentence(self, sentence: Iterable[str]) -> Iterator[tuple[str, float | None]]:
        """Yield the tokens of a sentence: phrases with their score, other words with None."""
        if isinstance(sentence, str):
            raise TypeError(f"sentence: expected a list of tokens, got the str {sentence[:40]!r}")
        start: str | None = None  # what a phrase may begin with, and the connector words since
        between: list[str] = []
        for word in sentence:
            if word in self.connector_words:
                if start:
                    between.append(word)
                else:
                    yield word, None
            elif not start:
                start = word
            else:
                phrase, score = self.score_candidate(start, word, between)
                if phrase is not None and score is not None:
                    yield phrase, score
                    start = None
                else:
                    yield start, None
                    for w in between:
                        yield w, None
                    start = word
                between = []
        if start:
            yield start, None
            for w in between:
                yield w, None

    def __getitem__(self, sentence: Any) -> Any:
        """
        Join the phrases of a sentence, a list of tokens; of a corpus, an iterable of sentences, lazily.

        What is given for a corpus can be iterated as often as the corpus itself.
        """
        if isinstance(sentence, str):
            raise TypeError(f"sentence: expected a list of tokens, got the str {sentence[:40]!r}")
        items = iter(sentence)
        first = next(items, None)
        if first is None:
            return []
        again = itertools.chain([first], items)
        if isinstance(first, str):
            return [token for token, _ in self.analyze_sentence(again)]
        return _Transformed(self, again if items is sentence else sentence)

    def find_phrases(self, sentences: Iterable[Iterable[str]]) -> dict[str, float]:
        """Return the phrases that are found in `sentences`, and their scores."""
        found = (pair for sentence in sentences for pair in self.analyze_sentence(sentence))
        return {phrase: score for phrase, score in found if score is not None}

    def _settings(self) -> dict[str, Any]:
        name = next((name for name, scorer in SCORERS.items() if scorer is self.scoring), "custom")
        return {
            "threshold": self.threshold,
            "min_count": self.min_count,
            "delimiter": self.delimiter,
            "connector_words": sorted(self.connector_words),
            "scoring": name,
        }

    @classmethod
    def _read(cls, path: Path, scoring: Scoring | None) -> tuple[Self, dict[str, Any]]:
        tree = checkpoint.load(path)
        name, kind = os.fspath(path), f"fastrnn.{cls.__name__}"
        if not isinstance(tree, dict) or tree.get("kind") != kind:
            raise ValueError(f"phrases: expected {kind} in {name!r}, got another tree")
        model = cls.__new__(cls)
        try:
            model.connector_words = frozenset(tree["connector_words"])
            for field in ("threshold", "min_count", "delimiter"):
                setattr(model, field, tree[field])
            known = SCORERS.get(tree["scoring"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"phrases: expected {kind} in {name!r}, got none of {error}") from None
        if known is None and scoring is None:
            raise ValueError(f"scoring: expected the function that {name!r} was made with, got None")
        model.scoring = scoring if known is None else known  # type: ignore[assignment]
        return model, tree


class _Transformed:
    """A corpus in which phrases are joined as it is iterated."""

    def __init__(self, phrases: Transformation, corpus: Iterable[Any]) -> None:
        self._phrases, self._corpus = phrases, corpus

    def __iter__(self) -> Iterator[list[str]]:
        for sentence in self._corpus:
            yield [token for token, _ in self._phrases.analyze_sentence(sentence)]
