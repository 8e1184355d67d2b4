"""The next word from a fixed number of words before it, by a feed-forward network."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn._random import fold
from fastrnn.batches import DenseBatches
from fastrnn.callbacks import History, perplexity
from fastrnn.data import Ids, Vocabulary
from fastrnn.layers import Activation, Embedding, Linear, Sequential
from fastrnn.losses import LinearCrossEntropy
from fastrnn.models._decoder import dropped
from fastrnn.models.base import Model, probabilities
from fastrnn.models.language_model import Evaluation
from fastrnn.training import evaluate


class WindowLanguageModel(Model):
    """
    Predict the next token from the `context` tokens before it.

    Their embeddings, side by side, go through a linear layer with tanh and one with softmax: the model of
    Bengio et al. 2003 (JMLR 3), without its direct connections. What came before the window is not seen.

    Parameters
    ----------
    vocabulary
        The tokens that the model knows.
    context
        Tokens that it sees. Before the first token of a text stands the end of a line.
    embedding_size, hidden_size
        E and H.
    dropout, embedding_dropout
        Before the head; after the embedding.
    compute
        What products are computed in: ``"bfloat16"``, or None for the dtype; see ``Layer.set_compute``.
    dtype, seed
        ``"float32"`` or ``"float64"``; of the initial parameters.

    Examples
    --------
    >>> model = fastrnn.WindowLanguageModel(Vocabulary.from_text(text, "word"), context=4, seed=0)
    >>> model.fit(text, validation, epochs=5)
    >>> model.evaluate(test).perplexity
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        context: int = 4,
        *,
        embedding_size: int = 100,
        hidden_size: int = 200,
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        dtype: str = "float32",
        compute: str | None = None,
        seed: int | None = None,
    ) -> None:
        if not isinstance(vocabulary, Vocabulary):
            raise TypeError(f"vocabulary: expected a Vocabulary, got {type(vocabulary).__name__}")
        self.vocabulary, self.context = vocabulary, _check.integer("context", context, 1)
        size = _check.integer("embedding_size", embedding_size, 1)
        width = _check.integer("hidden_size", hidden_size, 1)
        seeds = [None if seed is None else fold(_check.integer("seed", seed, 0), k) for k in range(3)]
        self.table = Embedding(len(vocabulary), size, dtype=dtype, seed=seeds[0])
        inner = Linear(self.context * size, width, dtype=dtype, seed=seeds[1])
        rate = _check.real("dropout", dropout, 0.0, 1.0)
        early = _check.real("embedding_dropout", embedding_dropout, 0.0, 1.0)
        self.body = Sequential(*dropped(early), inner, Activation("tanh"), *dropped(rate))
        self.head = LinearCrossEntropy(width, len(vocabulary), dtype=dtype, seed=seeds[2])
        self._compose({"table": self.table, "body": self.body, "head": self.head})
        self.set_compute(compute)
        self.config: dict[str, Any] = {
            "context": self.context,
            "embedding_size": size,
            "hidden_size": width,
            "dropout": rate,
            "embedding_dropout": early,
            "dtype": str(self.flat_params.dtype),
        }

    def value_and_grad(
        self, x: Ids, targets: Ids, state: Any = None, key: int | None = None
    ) -> tuple[float, None]:
        """Return the mean loss of windows [N, context] before targets [N]; add the gradients."""
        e, back = self.table.vjp(x)
        y, pullback = self.body.vjp(e.reshape(len(x), -1), key=key)
        loss, dy = self.head.value_and_grad(y, targets)
        de: Any = pullback(dy)
        back(de.reshape(e.shape))
        return loss, None

    def total(self, x: Ids, targets: Ids, state: Any = None) -> tuple[float, int, None]:
        """Return the sum of the losses without dropout, their number, and None."""
        return (*self.head.total(self._run(x), targets), None)

    def _run(self, x: Ids) -> Any:
        return self.body(self.table(x).reshape(len(x), -1))

    def fit(
        self, text: Any, validation_data: Any = None, *, batch: int = 128, seed: int = 0, **training: Any
    ) -> History:
        """
        Train on all windows of a text, shuffled.

        Parameters
        ----------
        text, validation_data
            Training text, and text to evaluate after each epoch; the parameters of the best epoch are kept.
            Each may be a string, or its tokens or ids: see `Vocabulary.encode`.
        batch
            Windows of a batch.
        seed
            Of the order of the windows and of dropout.
        training
            As `Model.train` takes it: epochs, lr, optimizer, patience, callbacks, checkpoint, ...

        Raises
        ------
        ValueError
            A text has characters that the vocabulary lacks, or fewer than two tokens.
        """
        data = self._windows(text, batch, seed)
        held_out = None if validation_data is None else self._windows(validation_data, 1024)
        unit = "char" if self.vocabulary.unit == "character" else "word"
        return self.train(data, held_out, seed=seed, **{"unit": unit, **training})

    def evaluate(self, text: Any) -> Evaluation:
        """Return loss and perplexity on `text`: of each token but the first, given those before it."""
        data = self._windows(text, 1024)
        loss = evaluate(self, data)
        return Evaluation(loss, perplexity(loss), data.tokens)

    def predict(self, text: Any) -> list[str]:
        """Return the likeliest next token after each token of `text`."""
        ids = self._padded(self.vocabulary.encode(text))[1:]
        found: list[str] = []
        for at in range(0, len(ids) - self.context + 1, 1024):
            part = ids[at : at + 1023 + self.context]
            windows = np.lib.stride_tricks.sliding_window_view(part, self.context)
            logits = self.head.logits(self._run(np.ascontiguousarray(windows)))
            found += [self.vocabulary.tokens[k] for k in logits.argmax(axis=-1)]
        return found

    def next(self, text: str, topn: int = 8) -> list[tuple[str, float]]:
        """Return the `topn` likeliest tokens after `text` with their probabilities, the likeliest first."""
        window = self._padded(self.vocabulary.encode(text))[-self.context :]
        return self.vocabulary.likeliest(probabilities(self.head.logits(self._run(window[None]))[0]), topn)

    def _padded(self, ids: Ids) -> Ids:
        return np.concatenate([np.full(self.context, self.vocabulary.begin(), np.int32), ids])

    def _windows(self, text: Any, batch: int, seed: int | None = None) -> DenseBatches:
        ids = self.vocabulary.encode(text)
        if len(ids) < 2:
            raise ValueError(f"text: expected at least 2 tokens, got {len(ids)}")
        windows = np.lib.stride_tricks.sliding_window_view(self._padded(ids), self.context)
        return DenseBatches(windows[1:-1], ids[1:], batch, seed=seed)

    def describe(self) -> dict[str, Any]:
        """Return all of the model but its parameters, as a checkpoint holds it."""
        return {"kind": "WindowLanguageModel", "config": self.config, "vocabulary": self.vocabulary.to_dict()}

    @classmethod
    def _build(cls, model: dict[str, Any]) -> WindowLanguageModel:
        return cls(Vocabulary.from_dict(model["vocabulary"]), **model["config"], seed=0)
