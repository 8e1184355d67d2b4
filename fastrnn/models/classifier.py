"""A label for each sequence: embedding, recurrent layers, a pool over time, softmax."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastrnn import _check, metrics
from fastrnn._random import fold
from fastrnn.batches import PaddedBatches, Rows, Sequences
from fastrnn.data import Vocabulary
from fastrnn.layers import AttentionPool, Dropout, Embedding, Pool, Sequential
from fastrnn.losses import LinearCrossEntropy
from fastrnn.models._sentences import Labels, encode, load_vectors, replacing, word_vocabulary
from fastrnn.models.base import Model, optional_layer, probabilities, validation_pair

if TYPE_CHECKING:
    from typing_extensions import Self

    from fastrnn.callbacks import History

Sentences = Sequence[Sequence[str]]
POOLS = ("last", "mean", "max", "attention")


class Classification(NamedTuple):
    """Loss in nats a sequence, share of right labels, and sequences."""

    loss: float
    accuracy: float
    sequences: int


class SequenceClassifier(Model):
    """
    Give a sentence one of a fixed set of labels.

    Words go through an embedding, recurrent layers, a pool that makes one vector of a sentence, and a linear
    layer with softmax. Sentences come as lists of words; a word that the vocabulary lacks is read as `<unk>`.

    Parameters
    ----------
    vocabulary
        Words: a `Vocabulary`, or training sentences, out of which one is made.
    labels
        Their names, or training labels, whose distinct names are taken.
    hidden_size, num_layers
        H of one direction, and L.
    embedding_size
        E; if None that of `vectors`, or else `hidden_size`.
    cell
        The name of a recurrent layer: ``"LSTM"``, ``"GRU"``, ...; None pools the embeddings themselves.
    pooling
        ``"last"``, ``"mean"``, ``"max"`` (see `Pool`) or ``"attention"`` (see `AttentionPool`).
    bidirectional
        Read both ways.
    dropout, embedding_dropout
        Before the head and between layers; after the embedding.
    cell_options
        For the recurrent layer, such as ``{"recurrent_dropout": 0.2}``.
    vectors
        A `KeyedVectors`, such as ``Word2Vec(...).wv``: what the embedding begins with for the words that it
        knows. The other words, `<unk>` among them, begin at random. Words that only test sentences have can
        be known by their vectors: put them into the vocabulary.
    freeze_embedding
        Training leaves the embedding as it is.
    compute
        What products are computed in: ``"bfloat16"``, or None for the dtype; see ``Layer.set_compute``.
    dtype, seed
        ``"float32"`` or ``"float64"``; of the initial parameters.

    Examples
    --------
    >>> model = fastrnn.SequenceClassifier(reviews, stars, hidden_size=100, pooling="max", seed=0)
    >>> model.fit(reviews, stars, validation_data=(dev_reviews, dev_stars), epochs=5)
    >>> model.predict([["not", "a", "good", "film"]])
    """

    def __init__(
        self,
        vocabulary: Vocabulary | Sentences,
        labels: Iterable[str],
        hidden_size: int = 100,
        num_layers: int = 1,
        *,
        embedding_size: int | None = None,
        cell: str | None = "LSTM",
        pooling: str = "max",
        bidirectional: bool = True,
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        cell_options: dict[str, Any] | None = None,
        vectors: Any = None,
        freeze_embedding: bool = False,
        dtype: str = "float32",
        compute: str | None = None,
        seed: int | None = None,
    ) -> None:
        self.vocabulary = word_vocabulary("vocabulary", vocabulary)
        self.labels = Labels("labels", labels)
        _check.choice("pooling", pooling, POOLS)
        width = _check.integer("hidden_size", hidden_size, 1)
        if embedding_size is not None:
            size = _check.integer("embedding_size", embedding_size, 1)
        else:
            size = width if vectors is None else _check.keyed("vectors", vectors).vector_size
        seeds = [None if seed is None else fold(_check.integer("seed", seed, 0), i) for i in range(4)]
        parts: list[Any] = [Embedding(len(self.vocabulary), size, dtype=dtype, seed=seeds[0])]
        if _check.real("embedding_dropout", embedding_dropout, 0.0, 1.0):
            parts.append(Dropout(embedding_dropout))
        both = _check.flag("bidirectional", bidirectional) and cell is not None
        layers, size = optional_layer(
            cell,
            size,
            width,
            num_layers,
            bidirectional=both,
            cell_options=cell_options,
            dropout=dropout,
            dtype=dtype,
            seed=seeds[1],
        )
        parts += layers
        if pooling == "attention":
            parts.append(AttentionPool(size, dtype=dtype, seed=seeds[3]))
        else:
            parts.append(Pool(pooling, bidirectional=both))
        if _check.real("dropout", dropout, 0.0, 1.0):
            parts.append(Dropout(dropout))
        self.body = Sequential(*parts)
        self.head = LinearCrossEntropy(size, len(self.labels), dtype=dtype, seed=seeds[2])
        self._compose({"body": self.body, "head": self.head})
        self.set_compute(compute)
        self.config: dict[str, Any] = {
            "hidden_size": width,
            "num_layers": _check.integer("num_layers", num_layers, 1),
            "embedding_size": self.body.children["0"].embedding_dim,  # type: ignore[attr-defined]
            "cell": cell,
            "pooling": pooling,
            "bidirectional": bool(bidirectional),
            "dropout": float(dropout),
            "embedding_dropout": float(embedding_dropout),
            "cell_options": dict(cell_options or {}),
            "freeze_embedding": _check.flag("freeze_embedding", freeze_embedding),
            "dtype": str(self.flat_params.dtype),
        }
        self.frozen = ("body.0.weight",) if freeze_embedding else ()
        if vectors is not None:
            self.load_vectors(vectors)

    def value_and_grad(
        self, x: Rows, targets: Any, state: Any = None, key: int | None = None
    ) -> tuple[float, None]:
        """Return the mean loss of a batch, and None; add the gradients to ``self.grads``."""
        out, pullback = self.body.vjp(x.tokens, lengths=x.lengths, key=key)
        loss, dy = self.head.value_and_grad(out[0] if self.body.recurrent else out, targets)
        pullback.consume(dy)
        return loss, None

    def total(self, x: Rows, targets: Any, state: Any = None) -> tuple[float, int, None]:
        """Return the sum of the losses without dropout, their number, and None."""
        return (*self.head.total(self._run(x), targets), None)

    def _run(self, x: Rows) -> Any:
        out = self.body(x.tokens, lengths=x.lengths)
        return out[0] if self.body.recurrent else out

    def fit(
        self,
        x: Sentences,
        y: Sequence[str],
        validation_data: tuple[Sentences, Sequence[str]] | None = None,
        *,
        batch: int = 32,
        word_dropout: float = 0.0,
        seed: int = 0,
        **training: Any,
    ) -> History:
        """
        Train on sentences and their labels.

        Parameters
        ----------
        x, y
            Lists of words, and a label for each list.
        validation_data
            Another such pair: the parameters of the epoch with the largest share of right labels are kept.
        batch
            Sentences of a batch, of alike lengths.
        word_dropout
            Words that occur once become `<unk>` with this probability, drawn anew in each epoch.
        seed
            Of the order of the sentences and of all dropout.
        training
            As `Model.train` takes it: epochs, lr, optimizer, patience, callbacks, checkpoint, ...

        Raises
        ------
        ValueError
            Sentences and labels do not go together, are empty, or a label is not one of the model's.
        """
        rate = _check.real("word_dropout", word_dropout, 0.0, 1.0)
        inputs, targets = self._encode(x, y)
        data = PaddedBatches(inputs, targets, batch, seed=seed, **replacing(self.vocabulary, inputs, rate))
        held_out, score = None, None
        if validation_data is not None:
            kept, wanted = validation_pair(validation_data)
            held_out = PaddedBatches(*self._encode(kept, wanted, "validation_data"), 64)
            score = ("accuracy", lambda: metrics.accuracy(wanted, self.predict(kept)))
        return self.train(data, held_out, score=score, seed=seed, **{"unit": "sentence", **training})

    def _encode(self, x: Sentences, y: Sequence[str], name: str = "") -> tuple[Sequences, Any]:
        first, second = (f"{name}[0]", f"{name}[1]") if name else ("x", "y")
        x, y = _check.items(x), _check.items(y)
        return encode(first, x, self.vocabulary), self.labels.array(second, y, first, x)

    def evaluate(self, x: Sentences, y: Sequence[str]) -> Classification:
        """Return loss and accuracy on sentences `x` with the labels `y`."""
        from fastrnn.training import evaluate

        x, y = _check.items(x), _check.items(y)
        data = PaddedBatches(*self._encode(x, y), 64)
        return Classification(evaluate(self, data), metrics.accuracy(y, self.predict(x)), len(y))

    def predict(self, x: Sentences) -> list[str]:
        """Return the likeliest label of each sentence."""
        return [self.labels.names[k] for k in self.predict_proba(x).argmax(axis=1)]

    def predict_proba(self, x: Sentences) -> np.ndarray[Any, Any]:
        """Return the probabilities of the labels, in the order of ``labels.names``: [sentences, labels]."""
        inputs = encode("x", x, self.vocabulary)
        data = PaddedBatches(inputs, np.zeros(len(inputs), np.int32), 64)
        found = np.empty((len(inputs), len(self.labels)))
        for k in range(len(data)):
            found[data.rows(k)] = probabilities(self.head.logits(self._run(data[k][0])))
        return found

    def load_vectors(self, vectors: Any) -> int:
        """Take the vectors of known words out of a `KeyedVectors` of size E; return for how many words."""
        return load_vectors(self, self.body.children["0"], self.vocabulary, vectors)

    def describe(self) -> dict[str, Any]:
        """Return all of the model but its parameters, as a checkpoint holds it."""
        return {
            "kind": "SequenceClassifier",
            "config": self.config,
            "vocabulary": self.vocabulary.to_dict(),
            "labels": self.labels.names,
        }

    @classmethod
    def _build(cls, model: dict[str, Any]) -> Self:
        return cls(Vocabulary.from_dict(model["vocabulary"]), model["labels"], **model["config"], seed=0)
