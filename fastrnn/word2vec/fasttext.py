"""FastText: Word2Vec whose words are the mean of their character n-grams."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from fastrnn import _check

from ._saving import Saving
from ._subwords import FastTextKeyedVectors
from ._tables import Table, initial_vectors, row_bytes
from .corpus import Corpus
from .model import Word2Vec
from .training import Progress
from .vocabulary import TrimRule


class FastText(Word2Vec):
    """Word vectors with subword information (Bojanowski et al. 2017), with the arguments of gensim 4.

    A word goes into training as the mean of a vector of its own and of those of its character n-grams, and so
    does a word that was never seen, of its n-grams alone.

    Parameters
    ----------
    sentences, corpus_file, sg, hs, vector_size, alpha, window, min_count, max_vocab_size
        As of `Word2Vec`, in gensim's order.
    word_ngrams : {1}
        N-grams of words are not learned.
    sample, seed, workers, min_alpha, negative, ns_exponent, cbow_mean, hashfxn, epochs, null_word
        As of `Word2Vec`.
    min_n, max_n : int
        Characters in an n-gram of ``<word>``; with ``max_n < min_n`` there are none.
    sorted_vocab : {0, 1}
    bucket : int
        Rows that n-grams are hashed to.
    trim_rule, batch_words, callbacks, max_final_vocab, shrink_windows
        As of `Word2Vec`.
    compute_loss, shared_negatives, deterministic, tokenizer, cache, errors, progress
        As of `Word2Vec`. With `shared_negatives` a mean is formed when the first window reaches a word, and
        what it has learned goes to its n-grams after the last; False: for each pair, as in fastText.

    Attributes
    ----------
    wv : FastTextKeyedVectors

    Notes
    -----
    The mean is over all rows, as in the paper and in fastText; gensim's skip-gram divides by one less.
    """

    wv: FastTextKeyedVectors
    _OPTIONS = (
        *(name for name in Saving._OPTIONS if name not in ("comment", "compat")),
        *("word_ngrams", "min_n", "max_n", "bucket"),
    )

    def __init__(
        self,
        sentences: Any = None,
        corpus_file: str | os.PathLike[str] | None = None,
        sg: int = 0,
        hs: int = 0,
        vector_size: int = 100,
        alpha: float = 0.025,
        window: int = 5,
        min_count: int = 5,
        max_vocab_size: int | None = None,
        word_ngrams: int = 1,
        sample: float = 1e-3,
        seed: int = 1,
        workers: int = 3,
        min_alpha: float = 0.0001,
        negative: int = 5,
        ns_exponent: float = 0.75,
        cbow_mean: int = 1,
        hashfxn: Callable[[Any], int] = hash,
        epochs: int = 5,
        null_word: int = 0,
        min_n: int = 3,
        max_n: int = 6,
        sorted_vocab: int = 1,
        bucket: int = 2000000,
        trim_rule: TrimRule | None = None,
        batch_words: int = 10000,
        callbacks: Iterable[Any] = (),
        max_final_vocab: int | None = None,
        shrink_windows: bool = True,
        *,
        compute_loss: bool = False,
        shared_negatives: bool = True,
        deterministic: bool = False,
        tokenizer: Callable[[Any], Iterable[str]] | None = None,
        cache: str | os.PathLike[str] | None = None,
        errors: str = "strict",
        progress: Progress | None = None,
    ) -> None:
        self.word_ngrams = _check.integer("word_ngrams", word_ngrams, 1, 1)
        self.min_n = _check.integer("min_n", min_n, 0, 1000)
        self.max_n = _check.integer("max_n", max_n, 0, 1000)
        self.bucket = _check.integer("bucket", bucket, 0, 2**30) if self.min_n <= self.max_n else 0
        super().__init__(
            sentences=sentences,
            corpus_file=corpus_file,
            vector_size=vector_size,
            alpha=alpha,
            window=window,
            min_count=min_count,
            max_vocab_size=max_vocab_size,
            sample=sample,
            seed=seed,
            workers=workers,
            min_alpha=min_alpha,
            sg=sg,
            hs=hs,
            negative=negative,
            ns_exponent=ns_exponent,
            cbow_mean=cbow_mean,
            hashfxn=hashfxn,
            epochs=epochs,
            null_word=null_word,
            trim_rule=trim_rule,
            sorted_vocab=sorted_vocab,
            batch_words=batch_words,
            compute_loss=compute_loss,
            callbacks=callbacks,
            max_final_vocab=max_final_vocab,
            shrink_windows=shrink_windows,
            shared_negatives=shared_negatives,
            deterministic=deterministic,
            tokenizer=tokenizer,
            cache=cache,
            errors=errors,
            progress=progress,
        )

    def _new_vectors(self) -> FastTextKeyedVectors:
        return FastTextKeyedVectors(self.vector_size, self.min_n, self.max_n, self.bucket)

    def _make_more(self, old: Table | None) -> Table | None:
        if old is not None:
            return old
        return initial_vectors(self.bucket, self.vector_size, self.seed + 1, "gensim")

    def _shown(self) -> dict[str, tuple[Any, str]]:
        return {"input": (self.wv, "vectors_vocab"), "more": (self.wv, "vectors_ngrams")}

    def _locked(self) -> dict[str, tuple[Any, str]]:
        return {"locks": (self.wv, "vectors_vocab_lockf"), "more_locks": (self.wv, "vectors_ngrams_lockf")}

    def _show(self) -> None:
        self.wv.recalc_char_ngram_buckets()
        super()._show()

    def kernel_inputs(self, corpus: Corpus) -> dict[str, Any]:
        """Return the arguments of ``_core.Word2VecRun`` that say what inputs are."""
        more = self.tables().more
        assert more is not None
        bags = self.wv.bags() if self.bucket else None
        return {**super().kernel_inputs(corpus), "more": more.padded, "bags": bags}

    def _memory_of_inputs(self, words: int) -> dict[str, int]:
        ngrams = len(self.wv.bags()[1]) / len(self.wv) if len(self.wv) else 20.0  # of a word of 7 letters
        row = row_bytes(self.vector_size)
        return {
            "vectors": words * self.vector_size * 4,
            "syn0_vocab": words * row,
            "syn0_ngrams": self.bucket * row,
            "buckets_word": words * 8 + int(words * ngrams * 4),
        }

    def settle(self) -> None:
        """Compose the vectors of words from what is trained."""
        self.wv.adjust_vectors()
