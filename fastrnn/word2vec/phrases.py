"""Phrases: words that stand together more often than by chance become one token, as in ``new_york``."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from inspect import signature
from typing import TYPE_CHECKING, Any

from fastrnn import _check, checkpoint
from fastrnn._files import Path

from . import _arguments as arguments
from ._transformation import ENGLISH_CONNECTOR_WORDS as ENGLISH_CONNECTOR_WORDS
from ._transformation import PARAMETERS, SCORERS, Scoring, Transformation
from ._transformation import npmi_scorer as npmi_scorer
from ._transformation import original_scorer as original_scorer

if TYPE_CHECKING:
    from typing_extensions import Self


class Phrases(Transformation):
    """
    Count words and neighbours, and join those that belong together.

    Parameters
    ----------
    sentences
        An iterable of token lists; None: give them to `add_vocab`.
    min_count
        What the scores subtract, or ask for.
    threshold
        A pair with a score above it is a phrase.
    max_vocab_size
        When more words and pairs than this are counted, rare ones are dropped; the bound rises each time.
    delimiter
        Put between the words of a phrase.
    progress_per
        Call `progress` after so many sentences.
    scoring
        ``"default"`` (`original_scorer`), ``"npmi"`` (`npmi_scorer`), or a function of the same parameters.
    connector_words
        Words that may stand inside of a phrase and not at its ends; see ``ENGLISH_CONNECTOR_WORDS``.
    progress
        A function of the number of sentences and of words read so far.

    Examples
    --------
    >>> phrases = Phrases(sentences, connector_words=ENGLISH_CONNECTOR_WORDS)
    >>> model = Word2Vec(phrases[sentences])
    """

    def __init__(
        self,
        sentences: Iterable[Iterable[str]] | None = None,
        min_count: float = 5,
        threshold: float = 10.0,
        max_vocab_size: int = 40000000,
        delimiter: str = "_",
        progress_per: int = 10000,
        scoring: str | Scoring = "default",
        connector_words: Iterable[str] = frozenset(),
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        super().__init__(connector_words)
        if not min_count > 0:
            raise ValueError(f"min_count: expected a number > 0, got {min_count}")
        if scoring == "default" and not threshold > 0:
            raise ValueError(f"threshold: expected a number > 0 for scoring='default', got {threshold}")
        if scoring == "npmi" and not -1 <= threshold <= 1:
            raise ValueError(f"threshold: expected -1 <= threshold <= 1 for scoring='npmi', got {threshold}")
        if isinstance(scoring, str):
            scoring = SCORERS[_check.choice("scoring", scoring, list(SCORERS))]
        missing = [name for name in PARAMETERS if name not in signature(scoring).parameters]
        if missing:
            raise ValueError(
                f"scoring: expected a function of {', '.join(PARAMETERS)}, got none of {missing}"
            )
        if not isinstance(delimiter, str):
            raise TypeError(f"delimiter: expected a str, got {_check.describe(delimiter)}")
        self.scoring = scoring
        self.min_count, self.threshold, self.delimiter = min_count, threshold, delimiter
        self.max_vocab_size = _check.integer("max_vocab_size", max_vocab_size, 1)
        self.progress_per, self._progress = _check.integer("progress_per", progress_per, 1), progress
        self.vocab: dict[str, int] = {}
        self.min_reduce = 1
        self.corpus_word_count = 0
        if sentences is not None:
            self.add_vocab(sentences)

    def __str__(self) -> str:
        return (
            f"{type(self).__name__}<{len(self.vocab)} vocab, min_count={self.min_count}, "
            f"threshold={self.threshold}, max_vocab_size={self.max_vocab_size}>"
        )

    def add_vocab(self, sentences: Iterable[Iterable[str]]) -> None:
        """Count the words and pairs of more sentences; theirs are counted apart and then added."""
        if isinstance(sentences, str):
            raise TypeError(f"sentences: expected an iterable of token lists, got the str {sentences[:40]!r}")
        vocab: dict[str, int] = {}
        min_reduce = 1
        for number, sentence in enumerate(sentences):
            if isinstance(sentence, str):
                raise TypeError(f"sentences: expected token lists, got the str {sentence[:40]!r} at {number}")
            if self._progress is not None and number and number % self.progress_per == 0:
                self._progress(number, self.corpus_word_count)
            self.corpus_word_count += self._count(sentence, vocab)
            if len(vocab) > self.max_vocab_size:
                vocab = {word: n for word, n in vocab.items() if n >= min_reduce}
                min_reduce += 1
        if not self.vocab:
            self.vocab = vocab
            return
        self.min_reduce = max(self.min_reduce, min_reduce)
        for word, n in vocab.items():
            self.vocab[word] = self.vocab.get(word, 0) + n
        if len(self.vocab) > self.max_vocab_size:
            self.vocab = {word: n for word, n in self.vocab.items() if n >= self.min_reduce}
            self.min_reduce += 1

    def _count(self, sentence: Iterable[str], vocab: dict[str, int]) -> int:
        """Count into `vocab`; a word ends one pair and begins the next."""
        connectors, join = self.connector_words, self.delimiter.join
        words = 0
        start: str | None = None
        between: list[str] = []
        for word in sentence:
            words += 1
            if word in connectors:
                if start is not None:
                    between.append(word)
                continue
            vocab[word] = vocab.get(word, 0) + 1
            if start is not None:
                pair = join((start, *between, word)) if between else join((start, word))
                vocab[pair] = vocab.get(pair, 0) + 1
            start, between = word, []
        return words

    def score_candidate(
        self, word_a: str, word_b: str, in_between: list[str]
    ) -> tuple[str, float] | tuple[None, None]:
        """Return the joined phrase and its score, or (None, None) where there is no phrase."""
        counts = self.vocab
        phrase = self.delimiter.join([word_a, *in_between, word_b])
        together = counts.get(phrase, 0)
        if not together or not (a := counts.get(word_a, 0)) or not (b := counts.get(word_b, 0)):
            return None, None
        score = self.scoring(
            worda_count=a,
            wordb_count=b,
            bigram_count=together,
            len_vocab=len(counts),
            min_count=self.min_count,
            corpus_word_count=self.corpus_word_count,
        )
        return (phrase, score) if score > self.threshold else (None, None)

    def export_phrases(self) -> dict[str, float]:
        """Return all phrases that were counted, and their scores."""
        found = {}
        for token in self.vocab:
            first, *between = token.split(self.delimiter)
            if between:
                phrase, score = self.score_candidate(first, between[-1], between[:-1])
                if phrase is not None and score is not None:
                    found[phrase] = score
        return found

    def freeze(self) -> FrozenPhrases:
        """Return what finds the same phrases, smaller and faster, and cannot count more."""
        return FrozenPhrases(self)

    def save(self, fname: Path, separately: Any = None, **options: Any) -> None:
        """Write settings and counts, without pickle; a scoring function of your own is left out.

        What is not `fname` is gensim's: see `Word2Vec.save`.
        """
        arguments.save_options(separately, **options)
        tree = {
            "kind": "fastrnn.Phrases",
            **self._settings(),
            "max_vocab_size": self.max_vocab_size,
            "progress_per": self.progress_per,
            "min_reduce": self.min_reduce,
            "corpus_word_count": self.corpus_word_count,
            "words": list(self.vocab),
            "counts": list(self.vocab.values()),
        }
        checkpoint.save(fname, tree)

    @classmethod
    def load(cls, fname: Path, scoring: Scoring | None = None, mmap: Any = None) -> Self:
        """Read what `save` wrote; `scoring` is the function of your own, if there was one.

        `mmap` is gensim's and decides nothing.
        """
        arguments.mapped(mmap)
        model, tree = cls._read(fname, scoring)
        try:
            for field in ("max_vocab_size", "progress_per", "min_reduce", "corpus_word_count"):
                setattr(model, field, tree[field])
            model.vocab = dict(zip(tree["words"], tree["counts"], strict=True))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"phrases: expected fastrnn.Phrases in {os.fspath(fname)!r}, got {error}"
            ) from None
        model._progress = None
        return model


class FrozenPhrases(Transformation):
    """The phrases of a `Phrases` and their scores, and nothing else."""

    def __init__(self, phrases_model: Phrases) -> None:
        super().__init__(phrases_model.connector_words)
        self.threshold, self.min_count = phrases_model.threshold, phrases_model.min_count
        self.delimiter, self.scoring = phrases_model.delimiter, phrases_model.scoring
        self.phrasegrams = phrases_model.export_phrases()

    def __str__(self) -> str:
        return (
            f"{type(self).__name__}<{len(self.phrasegrams)} phrases, min_count={self.min_count}, "
            f"threshold={self.threshold}>"
        )

    def score_candidate(
        self, word_a: str, word_b: str, in_between: list[str]
    ) -> tuple[str, float] | tuple[None, None]:
        """Return the joined phrase and its score, or (None, None) where there is no phrase."""
        phrase = self.delimiter.join([word_a, *in_between, word_b])
        score = self.phrasegrams.get(phrase, -math.inf)
        return (phrase, score) if score > self.threshold else (None, None)

    def save(self, fname: Path, separately: Any = None, **options: Any) -> None:
        """Write settings and phrases, without pickle; a scoring function of your own is left out.

        What is not `fname` is gensim's: see `Word2Vec.save`.
        """
        arguments.save_options(separately, **options)
        tree = {"kind": "fastrnn.FrozenPhrases", **self._settings(), "phrases": list(self.phrasegrams)}
        checkpoint.save(fname, tree | {"scores": list(self.phrasegrams.values())})

    @classmethod
    def load(cls, fname: Path, scoring: Scoring | None = None, mmap: Any = None) -> Self:
        """Read what `save` wrote; `scoring` is the function of your own, if there was one.

        `mmap` is gensim's and decides nothing.
        """
        arguments.mapped(mmap)
        model, tree = cls._read(fname, scoring)
        try:
            model.phrasegrams = dict(zip(tree["phrases"], tree["scores"], strict=True))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"phrases: expected fastrnn.FrozenPhrases in {os.fspath(fname)!r}, got {error}"
            ) from None
        return model


Phraser = FrozenPhrases  # gensim's older name
