"""A label for each word of a sentence: embedding, recurrent layers both ways, softmax."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastrnn import _check, metrics
from fastrnn._random import fold
from fastrnn.batches import PaddedBatches, Sequences
from fastrnn.data import Ids, Vocabulary
from fastrnn.layers import Activation, Dropout, Embedding, Sequential
from fastrnn.losses import LinearCrossEntropy
from fastrnn.models._characters import JOINS, Letters, SpelledBatches, SpelledWords, check_options
from fastrnn.models._sentences import Labels, encode, load_vectors, replacing, word_vocabulary
from fastrnn.models.base import Model, optional_layer, probabilities, validation_pair

if TYPE_CHECKING:
    from typing_extensions import Self

    from fastrnn.callbacks import History

Sentences = Sequence[Sequence[str]]


class Tagging(NamedTuple):
    """Loss in nats a word, share of right tags, scores of whole chunks (None without B- tags), and words."""

    loss: float
    accuracy: float
    chunks: metrics.F1 | None
    tokens: int


class SequenceTagger(Model):
    """
    Give each word of a sentence one of a fixed set of tags.

    Words go through an embedding, recurrent layers and a linear layer with softmax. Sentences come as lists
    of words; a word that the vocabulary lacks is read as `<unk>`.

    Parameters
    ----------
    vocabulary
        Words: a `Vocabulary`, or training sentences, out of which one is made.
    tags
        The names of the tags, or training tags, a list for each sentence, whose distinct names are taken.
    hidden_size, num_layers
        H of one direction, and L.
    embedding_size
        E; `hidden_size` if None.
    cell
        The name of a recurrent layer: ``"LSTM"``, ``"GRU"``, ...; None is a tagger that sees the word alone.
    bidirectional
        Read both ways.
    dropout, embedding_dropout
        Before the head and between layers; after the embedding.
    cell_options
        For the recurrent layer, such as ``{"recurrent_dropout": 0.2}``.
    characters
        What reads the letters of each word: the name of a recurrent layer, which does it both ways and gives
        its last states, ``"CNN"`` (`ConvMax` of several widths), or None. A word that is not known still has
        its letters.
    join
        How that is joined to the embedding: ``"concatenate"``, or ``"gate"``, a sigmoid gate for each number.
    character_options
        ``embedding_size`` 25, of a letter; ``hidden_size`` 25, of one direction or the filters of each width;
        ``widths`` (2, 3, 4), of the filters.
    compute
        What products are computed in: ``"bfloat16"``, or None for the dtype; see ``Layer.set_compute``.
    dtype, seed
        ``"float32"`` or ``"float64"``; of the initial parameters.

    Examples
    --------
    >>> tagger = fastrnn.SequenceTagger(sentences, tags, hidden_size=100, dropout=0.5, seed=0)
    >>> tagger.fit(sentences, tags, validation_data=(dev_sentences, dev_tags), epochs=20)
    >>> tagger.evaluate(test_sentences, test_tags).chunks.f1
    >>> tagger.predict([["flights", "from", "boston"]])
    """

    def __init__(
        self,
        vocabulary: Vocabulary | Sentences,
        tags: Iterable[Any],
        hidden_size: int = 100,
        num_layers: int = 1,
        *,
        embedding_size: int | None = None,
        cell: str | None = "LSTM",
        bidirectional: bool = True,
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        cell_options: dict[str, Any] | None = None,
        characters: str | None = None,
        join: str = "concatenate",
        character_options: dict[str, Any] | None = None,
        dtype: str = "float32",
        compute: str | None = None,
        seed: int | None = None,
    ) -> None:
        self.vocabulary = word_vocabulary("vocabulary", vocabulary)
        self.labels = Labels("tags", tags)
        width = _check.integer("hidden_size", hidden_size, 1)
        size = width if embedding_size is None else _check.integer("embedding_size", embedding_size, 1)
        seeds = [None if seed is None else fold(_check.integer("seed", seed, 0), i) for i in range(4)]
        words, letters = (len(self.vocabulary), size), check_options(character_options)
        if characters is None and (join != "concatenate" or character_options):
            raise ValueError("characters: expected an encoder for join and character_options, got None")
        parts, first = list[Any](), dict[str, Any]()
        if characters is None:
            parts.append(Embedding(*words, dtype=dtype, seed=seeds[0]))
        else:
            self._letters_known = Letters(self.vocabulary)
            known = len(self._letters_known)
            first["input"] = SpelledWords(words, known, characters, join, letters, dtype, seeds[3])
            size = first["input"].width
        if _check.real("embedding_dropout", embedding_dropout, 0.0, 1.0):
            parts.append(Dropout(embedding_dropout))
        layers, size = optional_layer(
            cell,
            size,
            width,
            num_layers,
            bidirectional=bidirectional,
            cell_options=cell_options,
            dropout=dropout,
            dtype=dtype,
            seed=seeds[1],
        )
        parts += layers
        if _check.real("dropout", dropout, 0.0, 1.0):
            parts.append(Dropout(dropout))
        self.body = Sequential(*parts) if parts else Sequential(Activation("identity"))
        self.head = LinearCrossEntropy(size, len(self.labels), dtype=dtype, seed=seeds[2])
        self._compose({**first, "body": self.body, "head": self.head})
        self.set_compute(compute)
        self.config: dict[str, Any] = {
            "hidden_size": width,
            "num_layers": _check.integer("num_layers", num_layers, 1),
            "embedding_size": words[1],
            "cell": cell,
            "bidirectional": bool(bidirectional),
            "dropout": float(dropout),
            "embedding_dropout": float(embedding_dropout),
            "cell_options": dict(cell_options or {}),
            "characters": characters,
            "join": _check.choice("join", join, JOINS),
            "character_options": None if characters is None else letters,
            "dtype": str(self.flat_params.dtype),
        }

    def value_and_grad(
        self, x: Any, targets: Ids, state: Any = None, key: int | None = None
    ) -> tuple[float, None]:
        """Return the mean loss of a batch, and None; add the gradients to ``self.grads``."""
        first: Any = self.children.get("input")
        read, back = (
            (x.tokens, None) if first is None else first.vjp(x, None if key is None else fold(key, 1))
        )
        rows = {"lengths": x.lengths} if self.body.recurrent else {}
        out, pullback = self.body.vjp(read, key=key, **rows)
        loss, dy = self.head.value_and_grad(out[0] if self.body.recurrent else out, targets)
        if back is None:
            pullback.consume(dy)
        else:
            found = pullback(dy)
            back(found[0] if self.body.recurrent else found)
        return loss, None

    def total(self, x: Any, targets: Ids, state: Any = None) -> tuple[float, int, None]:
        """Return the sum of the losses without dropout, their number, and None."""
        return (*self.head.total(self._run(x), targets), None)

    def _run(self, x: Any) -> Any:
        first: Any = self.children.get("input")
        read = x.tokens if first is None else first(x)
        return self.body(read, lengths=x.lengths)[0] if self.body.recurrent else self.body(read)

    def _batches(
        self, name: str, x: Sentences, inputs: Sequences, targets: Any, batch: int, **options: Any
    ) -> PaddedBatches:
        if self.config["characters"] is None:
            return PaddedBatches(inputs, targets, batch, **options)
        return SpelledBatches(*self._letters_known.spell(name, x), inputs, targets, batch, **options)

    def fit(
        self,
        x: Sentences,
        y: Sentences,
        validation_data: tuple[Sentences, Sentences] | None = None,
        *,
        batch: int = 16,
        word_dropout: float = 0.0,
        seed: int = 0,
        **training: Any,
    ) -> History:
        """
        Train on sentences and their tags.

        Parameters
        ----------
        x, y
            Lists of words, and lists of tags of the same lengths.
        validation_data
            Another such pair: scored after each epoch, by F1 of chunks where tags are ``B-...``, ``I-...``
            and ``O``, else by the share of right tags. The parameters of the best epoch are kept.
        batch
            Sentences of a batch, of alike lengths.
        word_dropout
            Words that occur once become `<unk>` with this probability, drawn anew in each epoch, so that the
            model learns what to make of words that it does not know.
        seed
            Of the order of the sentences and of all dropout.
        training
            As `Model.train` takes it: epochs, lr, optimizer, patience, callbacks, checkpoint, ...

        Raises
        ------
        ValueError
            Sentences and tags do not go together, are empty, or a tag is not one of the model's.
        """
        rate = _check.real("word_dropout", word_dropout, 0.0, 1.0)
        inputs, targets = self._encode(x, y)
        options = replacing(self.vocabulary, inputs, rate)
        data = self._batches("x", x, inputs, targets, batch, seed=seed, **options)
        held_out, score = None, None
        if validation_data is not None:
            kept, wanted = validation_pair(validation_data)
            name = "validation_data"
            held_out = self._batches(f"{name}[0]", kept, *self._encode(kept, wanted, name), 64)
            score = (
                ("f1", lambda: self._chunks(kept, wanted).f1)
                if metrics.has_chunks(self.labels.names)
                else ("accuracy", lambda: self._accuracy(kept, wanted))
            )
        return self.train(data, held_out, score=score, seed=seed, **{"unit": "word", **training})

    def _encode(self, x: Sentences, y: Sentences, name: str = "") -> tuple[Sequences, Sequences]:
        first, second = (f"{name}[0]", f"{name}[1]") if name else ("x", "y")
        x, y = _check.items(x), _check.items(y)
        return encode(first, x, self.vocabulary), self.labels.sequences(second, y, first, x)

    def evaluate(self, x: Sentences, y: Sentences) -> Tagging:
        """Return loss and scores on sentences `x` with the tags `y`."""
        from fastrnn.training import evaluate

        x, y = _check.items(x), _check.items(y)
        data = self._batches("x", x, *self._encode(x, y), 64)
        f1 = self._chunks(x, y) if metrics.has_chunks(self.labels.names) else None
        return Tagging(evaluate(self, data), self._accuracy(x, y), f1, data.tokens)

    def _chunks(self, x: Sentences, y: Sentences) -> metrics.F1:
        return metrics.chunk_f1(y, self.predict(x))

    def _accuracy(self, x: Sentences, y: Sentences) -> float:
        found = self.predict(x)
        return metrics.accuracy([t for row in y for t in row], [t for row in found for t in row])

    def predict(self, x: Sentences) -> list[list[str]]:
        """Return the likeliest tag of each word of each sentence."""
        return [[self.labels.names[k] for k in row] for row in self._each(x, lambda z: z.argmax(axis=-1))]

    def predict_proba(self, x: Sentences) -> list[np.ndarray[Any, Any]]:
        """Return the probabilities of the tags, as ``labels.names``: [words, tags] for each sentence."""
        return self._each(x, probabilities)

    def _each(self, x: Sentences, function: Any) -> list[Any]:
        x = _check.items(x)
        inputs = encode("x", x, self.vocabulary)
        data, found = self._batches("x", x, inputs, inputs, 64), [None] * len(inputs)
        for k in range(len(data)):
            rows, _ = data[k]
            y = function(self.head.logits(self._run(rows)))
            for column, (place, length) in enumerate(zip(data.rows(k), rows.lengths, strict=True)):
                found[place] = y[:length, column]
        return found

    def load_vectors(self, vectors: Any) -> int:
        """Take the vectors of known words out of a `KeyedVectors` of size E; return for how many words."""
        first = self.children.get("input")
        table = self.body.children["0"] if first is None else first.children["words"]  # type: ignore[attr-defined]
        return load_vectors(self, table, self.vocabulary, vectors)

    def describe(self) -> dict[str, Any]:
        """Return all of the model but its parameters, as a checkpoint holds it."""
        words = self.vocabulary.to_dict()
        return {
            "kind": "SequenceTagger",
            "config": self.config,
            "vocabulary": words,
            "tags": self.labels.names,
        }

    @classmethod
    def _build(cls, model: dict[str, Any]) -> Self:
        return cls(Vocabulary.from_dict(model["vocabulary"]), model["tags"], **model["config"], seed=0)
