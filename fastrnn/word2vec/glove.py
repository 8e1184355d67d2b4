"""GloVe: vectors from how often words stand near each other."""

from __future__ import annotations

import logging
import math
import os
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fastrnn import _check, _core

from . import _arguments as arguments
from . import _cooccurrence, vocabulary
from ._glove_files import GloVeFiles
from ._tables import Floats, Table, epoch_key, initial_vectors
from .corpus import Corpus
from .training import Progress

_LARGE = 100_000_000  # words of a corpus
_TURN = 0.2  # seconds between looks at Ctrl-C and at the progress
_GOLDEN = 0.6180339887498949
_logger = logging.getLogger(__name__)


class GloVe(GloVeFiles):
    """Word vectors by GloVe, as its authors' program trains them.

    Minimises ``sum f(x_ij) (<w_i, c_j> + b_i + a_j - log x_ij)**2 / 2`` by AdaGrad, where x_ij sums 1/d over
    all times that words i and j stand d <= `window` words apart, and ``f(x) = min(1, (x / x_max)**alpha)``.

    Parameters
    ----------
    sentences : iterable of lists of str, optional
        Also what else `Corpus.read` takes. Read once.
    corpus_file : path, optional
        Instead of `sentences`: a text file, a .gz of one, a folder, or a file that `cache` has left.
    vector_size : int
    window : int
        Words on either side; they never reach into another sentence.
    min_count, max_vocab_size, max_final_vocab, trim_rule
        See `fastrnn.word2vec.vocabulary.select`.
    x_max, alpha : float
        Of the weight f. Default of `x_max`: 10 for corpora of less than 100 million words, as in the authors'
        demo of 17 million, else 100, as in the paper. Counts grow with the corpus: in 3.4 million words all
        but few are far below 100, and what is rare learns next to nothing.
    learning_rate : float
        Of AdaGrad; the same from the first epoch to the last. Default: 0.1 for corpora of less than 100
        million words, else 0.05, as in the paper. Squares of gradients begin with 1, so that a row that has
        few and light entries is far from being scaled by them, and 0.05 too slow for it.
    epochs : int
        Passes over the entries of the matrix, in an order of their own each.
    workers : int
        Threads, at most `fastrnn.get_num_threads()`. They update the vectors without locks: on one thread
        the same `seed` gives the same bits.
    seed : int
    memory : int
        Bytes for the places of words, 16 each: it decides how many rows are counted at a time. Beside it 12
        for each word of the vocabulary and thread, and 24 for each entry of the rows at hand, at most
        ``2 * window`` a place. The whole matrix, 12 bytes an entry, lies in a temporary file.
    callbacks : iterable
        Objects with ``on_train_begin``, ``on_epoch_begin``, ``on_epoch_end`` and ``on_train_end``, which take
        the model.
    tokenizer, cache, errors
        See `Corpus.read`.
    progress : object, optional
        ``progress.update(entries, learning_rate, loss)`` is called a few times a second.

    Attributes
    ----------
    wv : KeyedVectors
        Sums of the vectors of words as words and as contexts. `wv.save` keeps them, `save` the whole model.
    word_vectors, context_vectors : ndarray of float32, shape (V, vector_size)
    word_biases, context_biases : ndarray of float32, shape (V,)
    epoch_losses : list of float
        Mean loss of an entry in each epoch, entries (i, j) and (j, i) being two.
    entries : ndarray of int32, shape (N, 3)
        The lower triangle of the matrix: row, column, and the bits of a float32.

    Raises
    ------
    FloatingPointError
        After an epoch in which the vectors have diverged.

    Notes
    -----
    Ctrl-C while a constructor trains gives the model as trained so far, with a warning.

    References
    ----------
    Pennington, Socher, Manning, *GloVe: Global Vectors for Word Representation*, EMNLP 2014.
    """

    def __init__(
        self,
        sentences: Any = None,
        corpus_file: str | os.PathLike[str] | None = None,
        vector_size: int = 100,
        window: int = 10,
        min_count: int = 5,
        x_max: float | None = None,
        alpha: float = 0.75,
        learning_rate: float | None = None,
        epochs: int = 25,
        workers: int = 3,
        seed: int = 1,
        *,
        max_vocab_size: int | None = None,
        max_final_vocab: int | None = None,
        trim_rule: vocabulary.TrimRule | None = None,
        memory: int = 1 << 30,
        callbacks: Iterable[Any] = (),
        tokenizer: Callable[[Any], Iterable[str]] | None = None,
        cache: str | os.PathLike[str] | None = None,
        errors: str = "strict",
        progress: Progress | None = None,
    ) -> None:
        self.vector_size = _check.integer("vector_size", vector_size, 1)
        self.window = _check.integer("window", window, 1, 100_000)
        self.min_count = _check.integer("min_count", min_count, 0)
        most = None if x_max is None else _positive("x_max", x_max)
        rate = None if learning_rate is None else _positive("learning_rate", learning_rate)
        self.alpha = _positive("alpha", alpha)
        self.epochs = _check.integer("epochs", epochs, 0)
        self.workers = _check.integer("workers", workers, 1)
        self.seed = arguments.seed(seed)
        self.max_vocab_size = arguments.size("max_vocab_size", max_vocab_size)
        self.max_final_vocab = arguments.size("max_final_vocab", max_final_vocab)
        self.memory = _check.integer("memory", memory, 1 << 20)
        arguments.optional_callable("trim_rule", trim_rule)
        self._progress = progress
        self._epochs_begun = 0
        self.epoch_losses: list[float] = []
        source = arguments.one_source(("sentences", sentences), ("corpus_file", corpus_file))
        corpus = Corpus.read(source, tokenizer=tokenizer, cache=cache, errors=errors, threads=self._threads())
        small = corpus.tokens < _LARGE
        self.x_max = most or (10.0 if small else 100.0)
        self.learning_rate = rate or (0.1 if small else 0.05)
        self._choose_words(corpus, trim_rule)
        self._allocate()
        try:
            self.train(self.epochs, callbacks)
        except KeyboardInterrupt:
            warnings.warn(
                f"training was interrupted in epoch {self._epochs_begun} of {self.epochs}; "
                "the model is as trained so far",
                RuntimeWarning,
                stacklevel=2,
            )

    def _threads(self) -> int:
        return max(1, min(self.workers, _core.get_num_threads()))

    def _choose_words(self, corpus: Corpus, trim_rule: vocabulary.TrimRule | None) -> None:
        chosen = vocabulary.select(
            corpus.types,
            corpus.counts,
            min_count=self.min_count,
            max_vocab_size=self.max_vocab_size,
            max_final_vocab=self.max_final_vocab,
            trim_rule=trim_rule,
            sorted_vocab=True,
        )
        if not len(chosen.chosen):
            raise vocabulary.NoWords(
                f"min_count: expected a word that occurs {chosen.min_count} times, "
                f"but the most frequent of {len(corpus.types)} has {corpus.counts.max()}"
            )
        counts = np.ascontiguousarray(corpus.counts[chosen.chosen], np.int64)
        self._name_words([corpus.types[i] for i in chosen.chosen], counts)
        words = np.full(len(corpus.types), -1, np.int32)
        words[chosen.chosen] = np.arange(len(counts))
        self.entries = _cooccurrence.count(corpus, words, counts, self.window, self._threads(), self.memory)
        if not len(self.entries):
            raise ValueError(
                "sentences: expected two words of the vocabulary in one of them, got no such sentence"
            )

    def _allocate(self) -> None:
        count = len(self.wv.index_to_key)
        self._vectors = [
            initial_vectors(count, self.vector_size, epoch_key(self.seed, i), "word2vec") for i in range(2)
        ]
        self._squares = [Table(np.ones((count, self.vector_size), np.float32)) for _ in range(2)]
        self._biases = [np.zeros((count, 2), np.float32) for _ in range(2)]
        for biases in self._biases:
            biases[:, 1] = 1
        self._begin()

    @property
    def word_vectors(self) -> Floats:
        """Vectors of words as words."""
        return self._vectors[0].rows

    @property
    def context_vectors(self) -> Floats:
        """Vectors of words as contexts."""
        return self._vectors[1].rows

    @property
    def word_biases(self) -> Floats:
        """Biases of words as words."""
        return self._biases[0][:, 0]

    @property
    def context_biases(self) -> Floats:
        """Biases of words as contexts."""
        return self._biases[1][:, 0]

    def train(self, epochs: int, callbacks: Iterable[Any] = ()) -> None:
        """Pass over the matrix `epochs` times more."""
        epochs = _check.integer("epochs", epochs, 0)
        callbacks = list(callbacks)
        for callback in callbacks:
            callback.on_train_begin(self)
        for _ in range(epochs):
            for callback in callbacks:
                callback.on_epoch_begin(self)
            try:
                loss = self._epoch()
            finally:
                self._settle()
            if not (loss < 1e4 and np.isfinite(self.wv.vectors).all()):  # it begins with (log x)**2 / 2
                got = f"a loss of {loss:g} at {self.learning_rate:g}"
                raise FloatingPointError(f"learning_rate: expected one that converges, got {got}")
            self.epoch_losses.append(loss)
            _logger.info("epoch %d: loss %.6f", self._epochs_begun, loss)
            for callback in callbacks:
                callback.on_epoch_end(self)
        for callback in callbacks:
            callback.on_train_end(self)

    def _epoch(self) -> float:
        """One pass; its mean loss."""
        key = epoch_key(self.seed, 2 + self._epochs_begun)
        self._epochs_begun += 1
        count, threads = len(self.entries), self._threads()
        start, step = order(count, key)
        run, turn, done, loss = self._joined(), 64, 0, 0.0
        while done < count:
            end = min(count, done + turn * _core.GLOVE_SLICE)
            before = time.monotonic()
            loss += run.train(done, end, start, step, threads)
            seconds = max(time.monotonic() - before, 1e-4)
            turn = max(8, int(turn * min(4.0, max(0.25, _TURN / seconds))))
            if self._progress is not None:
                mean = loss / (self._directed * end / count)
                self._progress.update(end - done, self.learning_rate, mean)
            done = end
        return loss / self._directed

    def __repr__(self) -> str:
        return f"GloVe<vocab={len(self.wv)}, vector_size={self.vector_size}, entries={len(self.entries)}>"


def order(count: int, key: int) -> tuple[int, int]:
    """Start and step of a pass: entry ``(start + i * step) % count`` is its i-th.

    With a step near the golden ratio any stretch of a pass is spread evenly over the rows.
    """
    generator = np.random.default_rng(key)
    step = int(count * _GOLDEN) + int(generator.integers(-(count // 64), count // 64 + 1))
    while math.gcd(step, count) != 1:
        step += 1
    return int(generator.integers(count)), step % count


def _positive(name: str, value: Any) -> float:
    number = _check.real(name, value, 0.0)
    if number == 0:
        raise ValueError(f"{name}: expected a number above 0, got {value}")
    return number
