"""What a trained model says of words in context."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastrnn import _check

from ._memory import Memory

_logger = logging.getLogger(__name__)


class Contexts(Memory):
    """The part of `Word2Vec` that is asked about words in context."""

    sg: int
    cbow_mean: int
    window: int

    def predict_output_word(
        self, context_words_list: Iterable[Any], topn: int = 10
    ) -> list[tuple[Any, float]] | None:
        """Return the words that are likeliest between these contexts.

        Parameters
        ----------
        context_words_list : iterable
            Words, or their indices; unknown ones are left out.
        topn : int

        Returns
        -------
        list of (word, probability), or None when no context is known
            Softmax of the scores of all words.

        Raises
        ------
        RuntimeError
            For a model without negative sampling.
        """
        topn = _check.integer("topn", topn, 1)
        _check.several(context_words_list=context_words_list)
        if not self.negative:
            raise RuntimeError("negative: expected a model with negative sampling, got negative=0")
        if self._tables is None:
            raise RuntimeError("expected a model with a vocabulary of its own; call build_vocab first")
        self._check_not_joined()
        known = [i for w in context_words_list if (i := self._index(w)) is not None]
        if not known:
            _logger.warning("all context words are unknown")
            return None
        hidden = self.wv.vectors[known].sum(axis=0)
        if self.cbow_mean:
            hidden /= len(known)
        scores = self.syn1neg @ hidden
        scores = np.exp(scores - scores.max())
        scores /= scores.sum()
        order = np.argsort(-scores, kind="stable")[:topn]
        return [(self.wv.index_to_key[i], scores[i]) for i in order]

    def _check_not_joined(self) -> None:
        if self.joined() is not None:
            raise RuntimeError("dm_concat: expected a model of which words alone are inputs, got dm_concat=1")

    def _index(self, word: Any) -> int | None:
        if word in self.wv.key_to_index:
            return self.wv.key_to_index[word]
        is_index = isinstance(word, (int, np.integer)) and 0 <= word < len(self.wv)
        return int(word) if is_index else None

    def score(
        self,
        sentences: Iterable[Sequence[Any]],
        total_sentences: int = 1000000,
        chunksize: int = 100,
        queue_factor: int = 2,
        report_delay: float = 1,
    ) -> npt.NDArray[np.float32]:
        """Return the log-likelihood of sentences under a model with hierarchical softmax alone (Taddy 2015).

        Parameters
        ----------
        sentences : iterable of lists of str
            Unknown words are left out. Windows have their full size and nothing is subsampled.
        total_sentences : int
            At most this many are scored; more are an error.
        chunksize, queue_factor, report_delay
            There is no queue: these decide nothing.

        Returns
        -------
        ndarray of float32, one number for each sentence

        Raises
        ------
        RuntimeError
            For a model with negative sampling or without hierarchical softmax.
        """
        _check.integer("total_sentences", total_sentences, 0)
        if self.negative or not self.hs or self.paths is None:
            raise RuntimeError("score: expected a model with hs=1 and negative=0, got another one")
        self._check_not_joined()
        result: list[float] = []
        for sentence in sentences:
            if isinstance(sentence, str):
                raise TypeError("sentences: expected lists of tokens, got a string")
            if len(result) == total_sentences:
                raise ValueError(
                    f"total_sentences: expected at least the number of sentences, got {total_sentences}"
                )
            words = [self.wv.key_to_index[w] for w in sentence if w in self.wv.key_to_index]
            result.append(sum(self._score_centre(words, i) for i in range(len(words))))
        return np.array(result, np.float32)

    def _score_centre(self, words: list[int], i: int) -> float:
        contexts = words[max(0, i - self.window) : i] + words[i + 1 : i + 1 + self.window]
        if not contexts or self.paths is None:
            return 0.0
        offsets, nodes, labels = self.paths
        path = slice(offsets[words[i]], offsets[words[i] + 1])
        inputs = self.wv.vectors[contexts].astype(np.float64)
        if not self.sg:
            inputs = inputs.sum(axis=0, keepdims=True) / (len(contexts) if self.cbow_mean else 1)
        scores = inputs @ self.syn1[nodes[path]].T.astype(np.float64)
        return -float(np.logaddexp(0, scores * (1 - 2 * labels[path])).sum())
