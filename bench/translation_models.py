"""An encoder-decoder with attention on fastrnn and on PyTorch: equal weights, batches and steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import epochs
import numpy as np
from sentence_models import lengths_of

import fastrnn
from fastrnn.batches import PaddedBatches, Sequences

END = 1  # the number of the token that begins and ends every output


class Task(NamedTuple):
    """The cell, V of both sides, E, H, pairs of sentences, their mean length, and how many are a batch."""

    cell: str
    vocabulary: int
    embedding: int
    hidden: int
    sentences: int
    length: float
    batch: int

    def data(self) -> PaddedBatches:
        """Sentences, and the same from the end as what is to be made of them."""
        draw = np.random.default_rng(0)
        lengths = lengths_of(draw, self.sentences, self.length)
        x = [draw.integers(2, self.vocabulary, n).astype(np.int32) for n in lengths]
        y = [np.append(tokens[::-1], END).astype(np.int32) for tokens in x]
        return PaddedBatches(Sequences("x", x), Sequences("y", y), self.batch, seed=0, aligned=False)

    same = data  # of which all contenders make the same

    def small(self) -> Task:
        """With as much data as the first steps want."""
        return self._replace(sentences=160)

    def flops(self) -> float:
        """Of an epoch: both cells, the head, and attention's two matrices."""
        gates, data = {"LSTM": 4, "GRU": 3}[self.cell], self.data()
        source, target = len(data.inputs.flat), len(data.targets.flat)
        encoder = 2 * gates * (self.hidden // 2) * (self.embedding + self.hidden // 2)
        decoder = gates * self.hidden * (self.embedding + self.hidden) + self.vocabulary * self.hidden
        return 6.0 * (source * (encoder + self.hidden**2) + target * (decoder + 2 * self.hidden**2))


class Ours(epochs.Ours):
    """On fastrnn."""

    def __init__(self, task: Task) -> None:
        words, sizes = epochs.words_of(task.vocabulary), {"embedding_size": task.embedding, "cell": task.cell}
        super().__init__(fastrnn.Seq2Seq(words, words, task.hidden, **sizes, seed=0))


class Torch(epochs.Torch):
    """On PyTorch: the encoder reads a PackedSequence, the decoder padding that counts for nothing."""

    def __init__(self, task: Task) -> None:
        from torch import nn

        cell, half = getattr(nn, task.cell), task.hidden // 2
        parts = {
            "read": nn.Embedding(task.vocabulary, task.embedding),
            "encoder": cell(task.embedding, half, bidirectional=True),
            "write": nn.Embedding(task.vocabulary, task.embedding),
            "decoder": cell(task.embedding, task.hidden),
            "general": nn.Linear(task.hidden, task.hidden, bias=False),
            "joint": nn.Linear(2 * task.hidden, task.hidden),
            "head": nn.Linear(task.hidden, task.vocabulary),
        }
        places = {"encoder.0": "read", "encoder.1": "encoder", "decoder.0": "write", "decoder.1": "decoder"}
        places |= {"attention.keys": "general", "joint": "joint", "head": "head"}
        state = {}
        for name, values in Ours(task).model.params.items():
            layer, _, kind = name.rpartition(".")
            state[f"{places[layer]}.{kind}"] = values
        super().__init__(parts, state)

    def items(self, data: PaddedBatches) -> Iterator[tuple[Any, Any]]:
        """The same rows in the same batches, padded by PyTorch from tensors that were made before."""
        torch, pad = self.torch, self.torch.nn.utils.rnn.pad_sequence
        if not hasattr(self, "_tensors"):
            self._tensors = [self.rows_of(part) for part in (data.inputs, data.targets)]
        x, y = self._tensors
        lengths = torch.from_numpy(data.inputs.lengths)
        for k in range(len(data)):
            rows = data.rows(k)
            yield (pad([x[r] for r in rows]), lengths[rows]), pad([y[r] for r in rows], padding_value=-100)

    def _loss(self, x: Any, targets: Any) -> Any:
        torch, net, (tokens, lengths) = self.torch, self.net, x
        packing = torch.nn.utils.rnn
        packed = packing.pack_padded_sequence(net["read"](tokens), lengths, enforce_sorted=False)
        memory, state = net["encoder"](packed)
        memory, _ = packing.pad_packed_sequence(memory)
        both = [torch.cat([*part], dim=1)[None] for part in (state if isinstance(state, tuple) else (state,))]
        known = torch.cat([torch.full_like(targets[:1], END), targets[:-1].clamp(min=0)])
        s, _ = net["decoder"](net["write"](known), tuple(both) if len(both) > 1 else both[0])
        scores = torch.einsum("sbh,tbh->bst", s, net["general"](memory))
        beyond = torch.arange(len(tokens)) >= lengths[:, None]
        weights = scores.masked_fill(beyond[:, None], -torch.inf).softmax(dim=2)
        context = torch.einsum("bst,tbh->sbh", weights, memory)
        z = torch.tanh(net["joint"](torch.cat([context, s], dim=2)))
        return torch.nn.functional.cross_entropy(net["head"](z).flatten(0, 1), targets.flatten())


MODELS = {model.name: model for model in (Ours, Torch)}
