"""Two sequences to a span: the words of a text that answer a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastrnn import _check
from fastrnn._random import fold
from fastrnn.batches import AskedBatches, Sequences
from fastrnn.data import Vocabulary
from fastrnn.layers.attention import KINDS as ATTENTIONS
from fastrnn.models._sentences import encode, load_vectors, word_vocabulary
from fastrnn.models._span_network import SpanNetwork
from fastrnn.models.base import log_probabilities, validation_pair

if TYPE_CHECKING:
    from typing_extensions import Self

    from fastrnn.callbacks import History

Questions = Sequence[tuple[Sequence[str], Sequence[str]]]
Spans = Sequence[tuple[int, int]]


class Answer(NamedTuple):
    """Tokens ``text[start:stop]``, and the log-probability that these are the answer."""

    tokens: list[str]
    start: int
    stop: int
    log_probability: float


class Finding(NamedTuple):
    """Loss in nats an answer, share of answers whose both ends are right, and answers."""

    loss: float
    exact: float
    answers: int


class SpanFinder(SpanNetwork):
    """
    Find the words of a text that answer a question.

    A bidirectional layer reads the text t and the question; every step of the text attends to the question,
    which gives a; a second layer reads (t, a, t * a), and a linear layer points at the first and the last
    token of the answer: softmax over the steps of the text.

    Parameters
    ----------
    vocabulary
        Words of texts and questions: a `Vocabulary`, or sequences out of which it is made.
    hidden_size
        H of one direction.
    embedding_size
        E; `hidden_size` if None.
    cell
        The name of a recurrent layer.
    attention
        ``"dot"``, ``"general"`` or ``"additive"``; see `Attention`.
    dropout, embedding_dropout
        Before and after the second layer; after the embedding.
    compute
        What products are computed in: ``"bfloat16"``, or None for the dtype; see ``Layer.set_compute``.
    dtype, seed
        ``"float32"`` or ``"float64"``; of the initial parameters.

    References
    ----------
    Seo et al. 2017, arXiv:1611.01603, of which this is the part with attention from the text to the question.

    Examples
    --------
    >>> model = fastrnn.SpanFinder([text for pair in x for text in pair], hidden_size=64, seed=0)
    >>> model.fit(x, spans, validation_data=(dev_x, dev_spans), epochs=10)
    >>> model.predict([(["mary", "has", "the", "ball"], ["who", "has", "the", "ball", "?"])])
    """

    def __init__(
        self,
        vocabulary: Vocabulary | Sequence[Sequence[str]],
        hidden_size: int = 64,
        *,
        embedding_size: int | None = None,
        cell: str = "LSTM",
        attention: str = "general",
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        dtype: str = "float32",
        compute: str | None = None,
        seed: int | None = None,
    ) -> None:
        self.vocabulary = word_vocabulary("vocabulary", vocabulary)
        width = _check.integer("hidden_size", hidden_size, 1)
        size = width if embedding_size is None else _check.integer("embedding_size", embedding_size, 1)
        seeds = [None if seed is None else fold(_check.integer("seed", seed, 0), i) for i in range(5)]
        self.config = {
            "hidden_size": width,
            "embedding_size": size,
            "cell": cell,
            "attention": _check.choice("attention", attention, ATTENTIONS),
            "dropout": _check.real("dropout", dropout, 0.0, 1.0),
            "embedding_dropout": _check.real("embedding_dropout", embedding_dropout, 0.0, 1.0),
            "dtype": dtype,
        }
        self._make(len(self.vocabulary), seeds)
        self.set_compute(compute)

    def fit(
        self,
        x: Questions,
        y: Spans,
        validation_data: tuple[Questions, Spans] | None = None,
        *,
        batch: int = 32,
        seed: int = 0,
        **training: Any,
    ) -> History:
        """
        Train on questions about texts, and where the answers are.

        Parameters
        ----------
        x
            Pairs (text, question), lists of words.
        y
            Pairs (start, stop): the answer is ``text[start:stop]``.
        validation_data
            Another such pair: the parameters of the epoch with the most exact answers on it are kept.
        batch
            Pairs of a batch, whose texts have alike lengths.
        seed
            Of their order and of dropout.
        training
            As `Model.train` takes it: epochs, lr, optimizer, patience, callbacks, checkpoint, ...

        Raises
        ------
        ValueError, TypeError
            An answer is not within its text, or x and y do not go together.
        """
        data = AskedBatches(*self._encode(x), self._targets("y", y, "x", x), batch, seed=seed)
        held_out, score = None, None
        if validation_data is not None:
            kept, wanted = validation_pair(validation_data)
            names = ("validation_data[0]", "validation_data[1]")
            targets = self._targets(names[1], wanted, names[0], kept)
            held_out = AskedBatches(*self._encode(kept, names[0]), targets, 64)
            score = ("exact", lambda: self._exact(kept, wanted))
        return self.train(data, held_out, score=score, seed=seed, **{"unit": "question", **training})

    def _encode(self, x: Questions, name: str = "x") -> tuple[Sequences, Sequences]:
        x = _check.items(x)
        if isinstance(x, (str, bytes)) or not hasattr(x, "__len__"):
            raise TypeError(f"{name}: expected a list of pairs (text, question), got {_check.describe(x)}")
        for place, pair in enumerate(x):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TypeError(
                    f"{name}[{place}]: expected a pair (text, question), got {_check.describe(pair)}"
                )
        texts, questions = [pair[0] for pair in x], [pair[1] for pair in x]
        return (
            encode(f"text of {name}", texts, self.vocabulary),
            encode(f"question of {name}", questions, self.vocabulary),
        )

    @staticmethod
    def _targets(name: str, y: Spans, whose: str, x: Questions) -> Any:
        """First and last tokens, int32 [N, 2]."""
        if not hasattr(y, "__len__") or len(y) != len(x):
            got = len(y) if hasattr(y, "__len__") else _check.describe(y)
            raise ValueError(f"{name}: expected {len(x)} spans, as {whose} has, got {got}")
        found = np.empty((len(y), 2), np.int32)
        for place, (span, (text, _)) in enumerate(zip(y, x, strict=True)):
            if np.shape(span) != (2,):
                raise TypeError(
                    f"{name}[{place}]: expected a pair (start, stop), got {_check.describe(span)}"
                )
            start, stop = (_check.integer(f"{name}[{place}]", end) for end in span)
            if not 0 <= start < stop <= len(text):
                raise ValueError(
                    f"{name}[{place}]: expected 0 <= start < stop <= {len(text)}, got {(start, stop)}"
                )
            found[place] = start, stop - 1
        return found

    def evaluate(self, x: Questions, y: Spans) -> Finding:
        """Return the loss, and the share of answers whose both ends are right."""
        from fastrnn.training import evaluate

        data = AskedBatches(*self._encode(x), self._targets("y", y, "x", x), 64)
        return Finding(evaluate(self, data), self._exact(x, y), len(y))

    def _exact(self, x: Questions, y: Spans) -> float:
        found = self.predict(x, max_tokens=max(stop - start for start, stop in y))
        return float(np.mean([(a.start, a.stop) == tuple(b) for a, b in zip(found, y, strict=True)]))

    def predict(self, x: Questions, max_tokens: int = 10) -> list[Answer]:
        """
        Return the likeliest answer to each question.

        Parameters
        ----------
        x
            Pairs (text, question).
        max_tokens
            The longest answer that is looked for. The log-probability of an answer is the sum of those of
            its ends.
        """
        most = _check.integer("max_tokens", max_tokens, 1)
        texts, questions = self._encode(x)
        data = AskedBatches(texts, questions, np.zeros((len(texts), 2), np.int32), 64)
        found = dict[int, Answer]()
        for k in range(len(data)):
            first, last = log_probabilities(self._run(data[k][0]))
            best, start, more = (np.full(len(first), -np.inf), *np.zeros((2, len(first)), np.int64))
            for extra in range(min(most, first.shape[1])):
                both = first[:, : first.shape[1] - extra] + last[:, extra:]
                at = both.argmax(axis=1)
                value = both[np.arange(len(at)), at]
                better = value > best
                best, start = np.where(better, value, best), np.where(better, at, start)
                more = np.where(better, extra, more)
            for row, place in enumerate(data.rows(k)):
                begin, end = int(start[row]), int(start[row] + more[row] + 1)
                found[int(place)] = Answer(list(x[place][0][begin:end]), begin, end, float(best[row]))
        return [found[place] for place in range(len(texts))]

    def load_vectors(self, vectors: Any) -> int:
        """Take the vectors of known words out of a `KeyedVectors` of size E; return for how many words."""
        return load_vectors(self, self.reader.children["0"], self.vocabulary, vectors)

    def describe(self) -> dict[str, Any]:
        """Return all of the model but its parameters, as a checkpoint holds it."""
        return {"kind": "SpanFinder", "config": self.config, "vocabulary": self.vocabulary.to_dict()}

    @classmethod
    def _build(cls, model: dict[str, Any]) -> Self:
        return cls(Vocabulary.from_dict(model["vocabulary"]), **model["config"], seed=0)
