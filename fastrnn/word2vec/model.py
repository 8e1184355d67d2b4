"""Word2Vec: skip-gram and CBOW with negative sampling and hierarchical softmax."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fastrnn import _check

from . import _arguments as arguments
from ._saving import Saving
from ._tables import epoch_key
from .training import Progress, Schedule, Trained, Whole, train
from .vocabulary import TrimRule


class Word2Vec(Saving):
    """Word vectors by skip-gram or CBOW (Mikolov et al. 2013), with the arguments of gensim 4.

    Parameters
    ----------
    sentences : iterable of lists of str, optional
        Also what else `Corpus.read` takes: a generator, NumPy ids, an Arrow list array, a `pathlib.Path`.
        Read once.
    corpus_file : path, optional
        Instead of `sentences`: a text file, a .gz of one, a folder, or a file that `cache` has left.
    vector_size : int
    alpha, min_alpha : float
        Learning rate at the first word and after the last, in a straight line.
    window : int
        Most words between the centre word and a context, on either side.
    min_count : int
        Rarer words are left out, and windows close up.
    max_vocab_size, max_final_vocab, trim_rule, sorted_vocab
        See `fastrnn.word2vec.vocabulary.select`.
    sample : float
        Threshold of subsampling; see `fastrnn.word2vec.vocabulary.keep_probability`.
    seed : int
    workers : int
        Threads, at most `fastrnn.get_num_threads()`.
    sg : {0, 1}
        0 CBOW, 1 skip-gram.
    hs : {0, 1}
        Hierarchical softmax; with ``negative=0`` alone, else beside negative sampling.
    negative : int
        Noise words for each; 0: no negative sampling.
    ns_exponent : float
        Noise words are drawn as ``count ** ns_exponent``.
    cbow_mean : {0, 1}
        Whether CBOW takes the mean of the contexts or their sum.
    hashfxn : callable
        As in gensim 4, nothing is hashed.
    epochs : int
    null_word : {0, 1}
        Add the word ``"\\0"``, of count 1.
    batch_words : int
        Decides nothing: there are no batches.
    compute_loss : bool
        Sum the negative log-likelihood: `get_latest_training_loss`, `epoch_losses`. Costs a tenth.
    callbacks : iterable
        Objects with ``on_train_begin``, ``on_epoch_begin``, ``on_epoch_end`` and ``on_train_end``, which take
        the model.
    comment : str, optional
        Kept with the model.
    shrink_windows : bool
        Draw the size of each window from 1..window; False: always `window`.
    shared_negatives : bool
        One set of noise words, and one small matrix product, for all contexts of a centre. False: the
        algorithm of word2vec.c, pair by pair. (CBOW has one set for a centre either way.)
    deterministic : bool
        The same bits for any number of threads, a quarter to a third slower, on at most four threads; with
        fewer than 512 words on one. False: threads update the tables without locks.
    compat : {"gensim", "word2vec"}
        Whose initial vectors; with "word2vec" also its defaults: alpha 0.05 for CBOW, min_alpha a ten
        thousandth of alpha, unless others are given.
    tokenizer, cache, errors
        See `Corpus.read`.
    progress : object, optional
        ``progress.update(words, rate, loss)`` is called a few times a second.

    Attributes
    ----------
    wv : KeyedVectors
    syn1neg, syn1 : ndarray
        What vectors are scored against: noise and centre words, nodes of the Huffman tree; [V, layer1_size].
    layer1_size : int
        Numbers in a row of these: `vector_size`, but where `Doc2Vec` joins vectors.
    epoch_losses : list of float
        Mean loss of a centre word in each epoch of the last training with `compute_loss`.
    corpus_count, corpus_total_words : int
        Sentences and words of the corpus that the vocabulary was built from.

    Notes
    -----
    Ctrl-C while a constructor trains gives the model as trained so far, with a warning; `train` raises it.
    """

    _SOURCE = "sentences"
    part = Whole()

    def __init__(
        self,
        sentences: Any = None,
        corpus_file: str | os.PathLike[str] | None = None,
        vector_size: int = 100,
        alpha: float = 0.025,
        window: int = 5,
        min_count: int = 5,
        max_vocab_size: int | None = None,
        sample: float = 1e-3,
        seed: int = 1,
        workers: int = 3,
        min_alpha: float = 0.0001,
        sg: int = 0,
        hs: int = 0,
        negative: int = 5,
        ns_exponent: float = 0.75,
        cbow_mean: int = 1,
        hashfxn: Callable[[Any], int] = hash,
        epochs: int = 5,
        null_word: int = 0,
        trim_rule: TrimRule | None = None,
        sorted_vocab: int = 1,
        batch_words: int = 10000,
        compute_loss: bool = False,
        callbacks: Iterable[Any] = (),
        comment: str | None = None,
        max_final_vocab: int | None = None,
        shrink_windows: bool = True,
        *,
        shared_negatives: bool = True,
        deterministic: bool = False,
        compat: str = "gensim",
        tokenizer: Callable[[Any], Iterable[str]] | None = None,
        cache: str | os.PathLike[str] | None = None,
        errors: str = "strict",
        progress: Progress | None = None,
    ) -> None:
        whole = _check.integer
        self.vector_size = whole("vector_size", vector_size, 1)
        self.window = whole("window", window, 1, 100_000)
        self.min_count = whole("min_count", min_count, 0)
        self.max_vocab_size = arguments.size("max_vocab_size", max_vocab_size)
        self.max_final_vocab = arguments.size("max_final_vocab", max_final_vocab)
        self.sample = _check.real("sample", sample)
        self.seed = arguments.seed(seed)
        self.workers = whole("workers", workers, 1)
        self.sg = arguments.switch("sg", sg)
        self.hs = arguments.switch("hs", hs)
        self.negative = whole("negative", negative, 0, 100_000)
        self.ns_exponent = _check.real("ns_exponent", ns_exponent, -np.inf)
        self.cbow_mean = arguments.switch("cbow_mean", cbow_mean)
        self.epochs = whole("epochs", epochs, 0)
        self.null_word = arguments.switch("null_word", null_word)
        self.sorted_vocab = arguments.switch("sorted_vocab", sorted_vocab)
        self.batch_words = whole("batch_words", batch_words, 1)
        self.shrink_windows = bool(arguments.switch("shrink_windows", shrink_windows))
        self.shared_negatives = _check.flag("shared_negatives", shared_negatives)
        self.deterministic = _check.flag("deterministic", deterministic)
        self.compat = _check.choice("compat", compat, arguments.COMPAT)
        self.alpha, self.min_alpha = arguments.rates(alpha, min_alpha, self.compat, self.sg)
        self.hashfxn = arguments.optional_callable("hashfxn", hashfxn)
        self.comment = comment
        self.compute_loss = bool(compute_loss)
        self._reading = {"tokenizer": tokenizer, "cache": cache, "errors": errors}
        self._progress = progress
        arguments.outputs(self.hs, self.negative)
        self.__dict__["load"] = arguments.load_of_a_model
        self.wv = self._new_vectors()
        self.min_alpha_yet_reached = self.alpha
        self.running_training_loss = 0.0
        self.trained = Trained()
        self.train_count = 0
        self.corpus_count = self.corpus_total_words = 0
        self._epochs_begun = 0
        self._counts = np.zeros(0, np.int64)
        self._tables = None
        self.raw_vocab = {}
        source = arguments.one_source((self._SOURCE, sentences), ("corpus_file", corpus_file), needed=False)
        arguments.optional_callable("trim_rule", trim_rule)
        if source is not None:
            self._begin(source, trim_rule, callbacks)

    def _begin(self, source: Any, trim_rule: TrimRule | None, callbacks: Iterable[Any]) -> None:
        """Read, build the vocabulary, train."""
        corpus = self._read(source)
        self.build_vocab(corpus, trim_rule=trim_rule)
        try:
            self.train(corpus, epochs=self.epochs, compute_loss=self.compute_loss, callbacks=callbacks)
        except KeyboardInterrupt:
            done = self.trained.words / max(1, corpus.tokens)
            so_far = f"training was interrupted after {done:.2f} of {self.epochs} epochs"
            warnings.warn(f"{so_far}; the model is as trained so far", RuntimeWarning, stacklevel=3)

    def train(
        self,
        corpus_iterable: Any = None,
        corpus_file: str | os.PathLike[str] | None = None,
        total_examples: int | None = None,
        total_words: int | None = None,
        epochs: int | None = None,
        start_alpha: float | None = None,
        end_alpha: float | None = None,
        word_count: int = 0,
        queue_factor: int = 2,
        report_delay: float = 1.0,
        compute_loss: bool = False,
        callbacks: Iterable[Any] = (),
    ) -> tuple[int, int]:
        """Train, on the corpus of the vocabulary or on another.

        Parameters
        ----------
        corpus_iterable, corpus_file
            As `sentences` and `corpus_file` of the class; read once, whatever the number of epochs.
        total_examples, total_words : int, optional
            Sentences or words of an epoch, for the learning rate, where this corpus is but a part of it.
        epochs : int
            Must be given, as in gensim.
        start_alpha, end_alpha : float, optional
            In place of `alpha` and `min_alpha`, from now on.
        word_count : int
            Words that are done already: the learning rate begins as after them.
        queue_factor : int
            Decides nothing: there is no queue.
        report_delay : float
            Seconds between progress reports (`logging`, level INFO).
        compute_loss : bool
        callbacks : iterable

        Returns
        -------
        centres, words : int
            Words trained on, without unknown ones and those that subsampling left out; and all words.
        """
        source = arguments.one_source(("corpus_iterable", corpus_iterable), ("corpus_file", corpus_file))
        if epochs is None:
            raise ValueError("epochs: expected the number of epochs, as in epochs=model.epochs, got None")
        epochs = _check.integer("epochs", epochs, 0)
        start = arguments.rate("start_alpha", start_alpha) if start_alpha is not None else self.alpha
        end = arguments.rate("end_alpha", end_alpha) if end_alpha is not None else self.min_alpha
        report_delay = _check.real("report_delay", report_delay)
        _check.integer("queue_factor", queue_factor, 1)
        done = _check.integer("word_count", word_count, 0)
        if not len(self.wv):
            raise RuntimeError("expected a vocabulary, got none; call build_vocab first")
        corpus = self._read(source)
        self.alpha, self.min_alpha, self.epochs = start, end, epochs
        self.compute_loss = bool(compute_loss)
        self.running_training_loss = 0.0
        words = float(corpus.tokens)
        if total_words is not None:
            words = _check.integer("total_words", total_words, 1)
        elif total_examples is not None:
            words *= _check.integer("total_examples", total_examples, 1) / len(corpus)
        schedule = Schedule(start, end, max(1.0, epochs * words), done)
        callbacks = list(callbacks)
        for callback in callbacks:
            callback.on_train_begin(self)
        trained = train(
            self,
            corpus,
            epochs,
            schedule,
            loss=self.compute_loss,
            callbacks=callbacks,
            progress=self._progress,
            report_delay=report_delay,
        )
        self.train_count += 1
        for callback in callbacks:
            callback.on_train_end(self)
        return trained.centres, trained.words

    def next_key(self) -> int:
        """Return the key of the random numbers of the next epoch."""
        self._epochs_begun += 1
        return epoch_key(self.seed, self._epochs_begun - 1)

    def get_latest_training_loss(self) -> float:
        """Return the loss summed over all epochs of the last training with `compute_loss`, in float64."""
        return self.running_training_loss

    @property
    def epoch_losses(self) -> list[float]:
        """Mean negative log-likelihood of a centre word in each epoch of the last training."""
        parts = zip(self.trained.losses, self.trained.centres_by_epoch, strict=True)
        return [loss / max(1, centres) for loss, centres in parts] if self.compute_loss else []

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}<vocab={len(self.wv)}, vector_size={self.vector_size}, alpha={self.alpha}>"
        )
