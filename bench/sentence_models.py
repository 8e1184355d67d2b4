"""A tagger and a classifier of sentences on fastrnn and on PyTorch: equal weights, batches and steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import epochs
import numpy as np

import fastrnn
from fastrnn.batches import PaddedBatches, Sequences


class Task(NamedTuple):
    """What is learned, the cell, V, E, H, labels, sentences, and their mean length."""

    kind: str  # "tagger" or "classifier"
    cell: str
    vocabulary: int
    embedding: int
    hidden: int
    labels: int
    sentences: int
    length: float
    batch: int

    def small(self) -> Task:
        """With as much data as the first steps want."""
        return self._replace(sentences=160)

    def flops(self) -> float:
        """Of an epoch, as if the input product were formed for every token."""
        gates, tokens = {"LSTM": 4, "GRU": 3}[self.cell], len(self.data().inputs.flat)
        return 6.0 * tokens * 2 * gates * self.hidden * (self.embedding + self.hidden)

    def data(self) -> PaddedBatches:
        """Sentences with lengths as a language has them."""
        draw = np.random.default_rng(0)
        return self._batches(draw, lengths_of(draw, self.sentences, self.length))

    def same(self) -> PaddedBatches:
        """All of one length, of which all contenders make the same."""
        return self._batches(np.random.default_rng(0), np.full(self.sentences, round(self.length)))

    def _batches(self, draw: np.random.Generator, lengths: np.ndarray) -> PaddedBatches:
        weight = 1 / (np.arange(self.vocabulary) + 2.7)
        flat = draw.choice(self.vocabulary, lengths.sum(), p=weight / weight.sum()).astype(np.int32)
        ids = np.split(flat, np.cumsum(lengths)[:-1])
        inputs = Sequences("x", ids)
        if self.kind == "tagger":
            return PaddedBatches(inputs, Sequences("y", [i % self.labels for i in ids]), self.batch, seed=0)
        labels = np.array([i.sum() % self.labels for i in ids], np.int32)
        return PaddedBatches(inputs, labels, self.batch, seed=0)


def lengths_of(draw: np.random.Generator, sentences: int, mean: float) -> np.ndarray:
    """Lengths of at least one that spread as those of a language do."""
    return 1 + draw.poisson(draw.gamma(4.0, (mean - 1) / 4.0, sentences))


class Ours(epochs.Ours):
    """On fastrnn."""

    def __init__(self, task: Task) -> None:
        words, names = epochs.words_of(task.vocabulary), [f"{k:04}" for k in range(task.labels)]
        sizes: dict[str, Any] = {"embedding_size": task.embedding, "cell": task.cell, "seed": 0}
        super().__init__(
            fastrnn.SequenceTagger(words, names, task.hidden, **sizes)
            if task.kind == "tagger"
            else fastrnn.SequenceClassifier(words, names, task.hidden, pooling="max", **sizes)
        )


class TorchPacked(epochs.Torch):
    """On PyTorch, with a PackedSequence."""

    name = "torch, packed"
    packed = True

    def __init__(self, task: Task) -> None:
        from torch import nn

        self.task = task
        parts = {
            "embedding": nn.Embedding(task.vocabulary, task.embedding),
            "cell": getattr(nn, task.cell)(task.embedding, task.hidden, bidirectional=True),
            "head": nn.Linear(2 * task.hidden, task.labels),
        }
        ours = Ours(task).model.params
        names = {"body.0.": "embedding.", "body.1.": "cell.", "head.": "head."}
        state = {
            to + n.removeprefix(of): a
            for n, a in ours.items()
            for of, to in names.items()
            if n.startswith(of)
        }
        super().__init__(parts, state)

    def items(self, data: PaddedBatches) -> Iterator[tuple[Any, Any]]:
        """The same rows in the same batches, padded by PyTorch from tensors that were made before."""
        torch, pad = self.torch, self.torch.nn.utils.rnn.pad_sequence
        if not hasattr(self, "_tensors"):
            self._tensors: dict[int, Any] = {}
        if id(data) not in self._tensors:
            x = self.rows_of(data.inputs)
            y = (
                self.rows_of(data.targets)
                if isinstance(data.targets, Sequences)
                else torch.from_numpy(data.targets.astype(np.int64))
            )
            self._tensors[id(data)] = x, y, torch.from_numpy(data.inputs.lengths)
        x, y, lengths = self._tensors[id(data)]
        for k in range(len(data)):
            rows = data.rows(k)
            tokens = pad([x[r] for r in rows])
            targets = pad([y[r] for r in rows], padding_value=-100) if isinstance(y, list) else y[rows]
            yield (tokens, lengths[rows]), targets

    def _loss(self, x: Any, targets: Any) -> Any:
        torch, (tokens, lengths) = self.torch, x
        y = self.net["embedding"](tokens)
        if self.packed:
            packed = torch.nn.utils.rnn.pack_padded_sequence(y, lengths)
            y, _ = torch.nn.utils.rnn.pad_packed_sequence(self.net["cell"](packed)[0])
        else:
            y, _ = self.net["cell"](y)
        if self.task.kind == "classifier":
            beyond = torch.arange(len(tokens))[:, None] >= lengths
            y = y.masked_fill(beyond[..., None], -torch.inf).amax(dim=0)
        logits = self.net["head"](y)
        return torch.nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten())


class TorchPadded(TorchPacked):
    """On PyTorch, with padding that is read like words: another function of the sentence."""

    name = "torch, padded"
    packed = exact = False


MODELS = {model.name: model for model in (Ours, TorchPacked, TorchPadded)}
