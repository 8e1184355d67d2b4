"""A language model of characters or words: embedding, recurrent layers, softmax."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastrnn import _check
from fastrnn._random import fold
from fastrnn.callbacks import History, perplexity
from fastrnn.data import UNKNOWN, Ids, Streams, Vocabulary
from fastrnn.layers import Embedding, Sequential
from fastrnn.losses import LinearCrossEntropy
from fastrnn.models._decoder import dropped
from fastrnn.models._tied import TiedCrossEntropy
from fastrnn.models.base import Model, own_options, probabilities, recurrent_layer
from fastrnn.protocols import State
from fastrnn.training import evaluate


class Evaluation(NamedTuple):
    """A loss in nats a token, exp(loss), and over how many tokens."""

    loss: float
    perplexity: float
    tokens: int


class LanguageModel(Model):
    """
    Predict the next character or word.

    Tokens go through an embedding, recurrent layers and a linear layer with softmax. All parameters
    are one flat buffer, so the optimiser's step is one pass and a checkpoint one array.

    Parameters
    ----------
    vocabulary
        The tokens that the model knows.
    hidden_size, num_layers
        H and L of the recurrent layers.
    embedding_size
        E; if None `hidden_size`, or the ``proj_size`` of `cell_options`.
    cell
        The name of a recurrent layer: ``"LSTM"``, ``"GRU"``, ...
    cell_options
        For the recurrent layers, such as ``{"recurrent_dropout": 0.2}``.
    tied
        The weight of the softmax is the embedding (Press and Wolf 2017, arXiv:1608.05859).
    dropout
        Between the layers and before the head, as Zaremba et al. 2014 (arXiv:1409.2329).
    embedding_dropout
        After the embedding. Above 0 the input product can no longer be formed once for each row of the table.
    compute
        What products are computed in: ``"bfloat16"``, or None for the dtype; see ``Layer.set_compute``.
    dtype
        ``"float32"`` or ``"float64"``.
    seed
        Of the initial parameters; None draws one.

    Attributes
    ----------
    body, head
        ``Sequential(Embedding, LSTM, ...)`` and `LinearCrossEntropy`, which tied has ``bias`` alone.
    """

    _lr = 4e-3

    def __init__(
        self,
        vocabulary: Vocabulary,
        hidden_size: int = 256,
        num_layers: int = 2,
        *,
        embedding_size: int | None = None,
        cell: str = "LSTM",
        cell_options: dict[str, Any] | None = None,
        tied: bool = False,
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        dtype: str = "float32",
        compute: str | None = None,
        seed: int | None = None,
    ) -> None:
        if not isinstance(vocabulary, Vocabulary):
            raise TypeError(f"vocabulary: expected a Vocabulary, got {type(vocabulary).__name__}")
        self.vocabulary = vocabulary
        _check.integer("hidden_size", hidden_size, 1)
        if embedding_size is not None:
            _check.integer("embedding_size", embedding_size, 1)
        seeds = [None if seed is None else fold(_check.integer("seed", seed, 0), i) for i in range(3)]
        options = own_options(cell_options, "bidirectional")
        options |= {"dropout": dropout, "dtype": dtype, "seed": seeds[1]}
        size = options.get("proj_size") or hidden_size if embedding_size is None else embedding_size
        layer = recurrent_layer(cell, size, hidden_size, num_layers, **options)
        embedding = Embedding(len(vocabulary), size, dtype=dtype, seed=seeds[0])
        rate = _check.real("embedding_dropout", embedding_dropout, 0.0, 1.0)
        before, after = dropped(rate), dropped(layer.dropout)
        self.body = Sequential(embedding, *before, layer, *after)
        if _check.flag("tied", tied):
            if size != layer.output_size:
                raise ValueError(
                    f"tied: expected embedding_size = {layer.output_size}, as outputs are, got {size}"
                )
            self.head: LinearCrossEntropy = TiedCrossEntropy(embedding)
        else:
            self.head = LinearCrossEntropy(layer.output_size, len(vocabulary), dtype=dtype, seed=seeds[2])
        self._compose({"body": self.body, "head": self.head})
        self.set_compute(compute)
        self.config: dict[str, Any] = {
            "hidden_size": layer.hidden_size,
            "num_layers": layer.num_layers,
            "embedding_size": layer.input_size,
            "cell": cell,
            "cell_options": dict(cell_options or {}),
            "tied": bool(tied),
            "dropout": layer.dropout,
            "embedding_dropout": rate,
            "dtype": str(layer.dtype),
        }

    def value_and_grad(
        self, x: Ids, targets: Ids, state: State = None, key: int | None = None
    ) -> tuple[float, State]:
        """
        Return the mean loss of one chunk and the state after it; add the gradients to ``self.grads``.

        x and targets are tokens, [T, B]; a target of -100 does not count. `state` is what the chunk before
        returned, None is zero; no gradient goes back through it. Dropout needs a `key` for its masks.
        """
        (y, state), pullback = self.body.vjp(x, state, key=key)
        loss, dy = self.head.value_and_grad(y, targets)
        pullback.consume(dy)
        return loss, state

    def total(self, x: Ids, targets: Ids, state: State = None) -> tuple[float, int, State]:
        """Return the sum of the losses without dropout, their number, and the state after the chunk."""
        y, state = self.body(x, state)
        return *self.head.total(y, targets), state

    def fit(
        self,
        text: Any,
        validation_data: Any = None,
        *,
        batch: int = 16,
        steps: int = 64,
        seed: int = 0,
        **training: Any,
    ) -> History:
        """
        Train by truncated back-propagation through `batch` parallel streams in chunks of `steps`.

        Parameters
        ----------
        text, validation_data
            Training text, and text to evaluate after each epoch; the parameters of the best epoch are kept.
            Each may be a string, or its tokens or ids: see `Vocabulary.encode`.
        batch, steps
            Streams side by side, and tokens of a chunk.
        seed
            Of dropout.
        training
            As `Model.train` takes it: epochs, lr, optimizer, patience, checkpoint, ...

        Raises
        ------
        ValueError
            A text has characters that the vocabulary lacks, or is too short for `batch` and `steps`.
        """
        data = Streams(self.vocabulary.encode(text), batch, steps)
        held_out = None if validation_data is None else self._whole_streams(validation_data)
        unit = "char" if self.vocabulary.unit == "character" else "word"
        return self.train(data, held_out, seed=seed, **{"unit": unit, **training})

    def evaluate(self, text: Any, batch: int = 10, steps: int = 100) -> Evaluation:
        """
        Return loss and perplexity on `text`: of each token but the first, given all before it in its stream.

        `batch` streams side by side each begin with a zero state; 1 is exact and slow.
        """
        streams = self._whole_streams(text, batch, steps)
        loss = evaluate(self, streams)
        return Evaluation(loss, perplexity(loss), streams.tokens)

    def _whole_streams(self, text: Any, batch: int = 10, steps: int = 100) -> Streams:
        return Streams(self.vocabulary.encode(text), batch, steps, whole=True)

    def predict(self, text: Any, steps: int = 100) -> list[str]:
        """Return the likeliest next token after each token of `text`, which is read in pieces of `steps`."""
        ids, state, found = self.vocabulary.encode(text), None, list[str]()
        for at in range(0, len(ids), _check.integer("steps", steps, 1)):
            y, state = self.body(ids[at : at + steps, None], state)
            best = self.head.logits(y)[:, 0].argmax(axis=-1)
            found += [self.vocabulary.tokens[k] for k in best]
        return found

    def next(self, text: str, topn: int = 8) -> list[tuple[str, float]]:
        """Return the `topn` likeliest tokens after `text` with their probabilities, the likeliest first."""
        return self.vocabulary.likeliest(probabilities(self._read(self._prompt(text), None)[0]), topn)

    def sample(
        self,
        n: int,
        prompt: str = "",
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int = 0,
        stop: str | None = None,
    ) -> str:
        """
        Return at most `n` tokens that go on after `prompt`, drawn one by one.

        Parameters
        ----------
        temperature
            Logits are divided by it; 0 takes the likeliest token each time.
        top_k
            Draw from the likeliest k tokens only. The word `<unk>` is never drawn.
        seed
            Equal seeds give equal text.
        stop
            The text ends with the first token that completes this string.
        """
        if stop is not None and not isinstance(stop, str):
            raise TypeError(f"stop: expected a str or None, got {_check.describe(stop)}")
        n, temperature = _check.integer("n", n, 0), _check.real("temperature", temperature)
        top_k = len(self.vocabulary) if top_k is None else _check.integer("top_k", top_k, 1)
        random = np.random.Generator(np.random.PCG64(_check.integer("seed", seed, 0)))
        ids, state, drawn = self._prompt(prompt), None, []
        for _ in range(n):
            logits, state = self._read(ids, state)
            drawn.append(self._draw(logits, temperature, top_k, random))
            ids = np.array(drawn[-1:], np.int32)
            if stop and self.vocabulary.decode(drawn[-len(stop) - 1 :]).endswith(stop):
                break
        return self.vocabulary.decode(drawn)

    def _draw(self, logits: Any, temperature: float, top_k: int, random: np.random.Generator) -> int:
        if self.vocabulary.unit == "word":
            logits[self.vocabulary.id(UNKNOWN)] = -np.inf
        if np.isnan(logits).any() or logits.max() == np.inf:
            raise FloatingPointError("logits: expected finite numbers, got others; the model has diverged")
        if temperature == 0:
            return int(np.argmax(logits))
        if top_k < len(logits):
            logits[np.argsort(-logits, kind="stable")[top_k:]] = -np.inf
        with np.errstate(over="ignore"):  # far below the likeliest
            edges = np.cumsum(probabilities((logits - logits.max()) / temperature))
        return int(np.searchsorted(edges, random.random() * edges[-1], side="right"))

    def _prompt(self, text: str) -> Ids:
        ids = self.vocabulary.encode(text)
        return ids if ids.size else np.array([self.vocabulary.begin()], np.int32)

    def _read(self, ids: Ids, state: State) -> tuple[Any, State]:
        """Return the logits after the last of `ids`, float64 [V], and the state there."""
        y, state = self.body(ids[:, None], state)
        return self.head.logits(y[-1]).astype(np.float64)[0], state

    def describe(self) -> dict[str, Any]:
        """Return all of the model but its parameters, as a checkpoint holds it."""
        return {"kind": "LanguageModel", "config": self.config, "vocabulary": self.vocabulary.to_dict()}

    @classmethod
    def _build(cls, model: dict[str, Any]) -> LanguageModel:
        return cls(Vocabulary.from_dict(model["vocabulary"]), **model["config"], seed=0)
