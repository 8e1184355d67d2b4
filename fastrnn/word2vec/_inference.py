"""Vectors of documents that were not trained on."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastrnn import _check, _core

from . import _arguments as arguments
from ._tables import Floats, Table, epoch_key
from .model import Word2Vec


class Inference(Word2Vec):
    """The part of `Doc2Vec` that trains a document alone."""

    def infer_vector(
        self,
        doc_words: Sequence[str],
        alpha: float | None = None,
        min_alpha: float | None = None,
        epochs: int | None = None,
    ) -> Floats:
        """Return a vector for a document that was not trained on; words and outputs stay as they are.

        The same words, arguments and `seed` give the same vector.

        Parameters
        ----------
        doc_words : list of str
            Unknown words are left out; without known ones the vector is that of the beginning.
        alpha, min_alpha : float, optional
            Learning rates of the first and the last epoch. Default: those of the model.
        epochs : int, optional

        Raises
        ------
        ValueError
            For a model that is trained on documents of several tags joined (`dm_tag_count`).
        """
        joined = self.joined()
        if joined is not None and joined[1] != 1:
            raise ValueError(f"dm_tag_count: expected 1 to infer a vector, got {joined[1]}")
        if isinstance(doc_words, (str, bytes)):
            raise TypeError("doc_words: expected a list of words, got a string")
        first = self.alpha if alpha is None else arguments.rate("alpha", alpha)
        last = self.min_alpha if min_alpha is None else arguments.rate("min_alpha", min_alpha)
        epochs = self.epochs if epochs is None else _check.integer("epochs", epochs, 1)
        if not len(self.wv):
            raise RuntimeError("expected a vocabulary, got none; call build_vocab first")
        content = zlib.crc32("\0".join(map(str, doc_words)).encode("utf-8", "surrogatepass"))
        draw = np.random.default_rng([self.seed, content]).random((1, self.vector_size), np.float32)
        document = Table((draw - np.float32(0.5)) / np.float32(self.vector_size))
        known = [i for word in doc_words if (i := self.wv.key_to_index.get(word, -1)) >= 0]
        if known:
            run = self._inference(np.array(known, np.int32), document)
            for epoch in range(epochs):
                rate = first + (last - first) * epoch / max(1, epochs - 1)
                run.train(0, len(known), epoch_key(self.seed, epoch), rate, 0.0, 1)
        return np.array(document.rows[0])

    def _inference(self, known: Any, document: Table) -> _core.Word2VecRun:
        words, ids = np.unique(known, return_inverse=True)
        types = np.stack([words, self.keep_thresholds[words].view(np.int32)], axis=1)
        return _core.Word2VecRun(
            ids=ids.astype(np.int32),
            offsets=np.array([0, len(ids)], np.int64),
            types=types,
            locks=np.zeros(1, np.float32),
            window=self.window,
            negative=self.negative,
            cbow=not self.sg,
            mean=bool(self.cbow_mean),
            shrink=bool(self.shrink_windows),
            shared=self.shared_negatives,
            deterministic=False,
            loss=False,
            more=document.padded,
            tags=(np.array([0, 1], np.int64), np.array([len(self.wv)], np.int32)),
            windows=not self.sg,
            fixed_outputs=True,
            **self.kernel_outputs(),
        )

    def similarity_unseen_docs(
        self,
        doc_words1: Sequence[str],
        doc_words2: Sequence[str],
        alpha: float | None = None,
        min_alpha: float | None = None,
        epochs: int | None = None,
    ) -> float:
        """Return the cosine of the vectors that `infer_vector` finds for two documents."""
        a, b = (self.infer_vector(words, alpha, min_alpha, epochs) for words in (doc_words1, doc_words2))
        return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-30))
