"""What an encoder-decoder computes: both passes, and the steps of a search."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn import _core
from fastrnn._random import fold
from fastrnn.batches import Rows
from fastrnn.data import IGNORED, Ids
from fastrnn.layers import Attention, Dropout, Embedding, Linear, Sequential
from fastrnn.losses import LinearCrossEntropy
from fastrnn.models.base import Model, recurrent_layer


class Seq2SeqNetwork(Model):
    """Children `encoder`, `decoder`, `head` and, with attention, `attention` and `joint`."""

    config: dict[str, Any]
    encoder: Any
    decoder: Any
    head: Any

    def end(self) -> int:
        """The number of the token that begins and ends every output."""
        raise NotImplementedError

    def _make(self, sources: int, targets: int, seeds: list[Any]) -> None:
        c, dtype = self.config, self.config["dtype"]
        width, both = c["hidden_size"], c["bidirectional"]
        options = {"dropout": c["dropout"] if c["num_layers"] > 1 else 0.0, "dtype": dtype}
        sizes = (c["embedding_size"], width // 2 if both else width, c["num_layers"])
        read = recurrent_layer(c["cell"], *sizes, bidirectional=both, seed=seeds[1], **options)
        write = recurrent_layer(
            c["cell"], c["embedding_size"], width, c["num_layers"], seed=seeds[3], **options
        )
        if set(write.state_sizes) != {width}:
            raise ValueError(f"cell: expected one whose states all have H numbers, got {c['cell']!r}")
        self.encoder = Sequential(Embedding(sources, c["embedding_size"], dtype=dtype, seed=seeds[0]), read)
        self.decoder = Sequential(Embedding(targets, c["embedding_size"], dtype=dtype, seed=seeds[2]), write)
        self.head = LinearCrossEntropy(width, targets, dtype=dtype, seed=seeds[4])
        self.dropout = Dropout(c["dropout"])
        children: dict[str, Any] = {"encoder": self.encoder, "decoder": self.decoder}
        if c["attention"] is not None:
            children["attention"] = Attention(c["attention"], width, width, dtype=dtype, seed=seeds[5])
            children["joint"] = Linear(2 * width, width, dtype=dtype, seed=seeds[6])
        self._compose({**children, "head": self.head})

    def _folded(self, state: Any) -> Any:
        """The state of the encoder as that of the decoder: both directions of a level side by side."""
        if not self.config["bidirectional"]:
            return state
        levels = self.config["num_layers"]
        return tuple(
            np.ascontiguousarray(
                part.reshape(levels, 2, *part.shape[1:])
                .transpose(0, 2, 1, 3)
                .reshape(levels, part.shape[1], -1)
            )
            for part in state
        )

    def _unfolded(self, state: Any) -> Any:
        """And back, for gradients."""
        if not self.config["bidirectional"]:
            return state
        levels = self.config["num_layers"]
        return tuple(
            np.ascontiguousarray(
                part.reshape(levels, part.shape[1], 2, -1)
                .transpose(0, 2, 1, 3)
                .reshape(2 * levels, part.shape[1], -1)
            )
            for part in state
        )

    def value_and_grad(
        self, x: Rows, targets: Ids, state: Any = None, key: int | None = None
    ) -> tuple[float, None]:
        """Return the mean loss a token of a batch, and None; add the gradients to ``self.grads``."""
        keys = [None if key is None else fold(key, k) for k in range(3)]
        (memory, (last,)), back_encoder = self.encoder.vjp(x.tokens, lengths=x.lengths, key=keys[0])
        inputs, lengths = self._teacher(targets)
        first = (self._folded(last),)
        (s, _), back_decoder = self.decoder.vjp(inputs, first, lengths=lengths, key=keys[1])
        attention: Any = self.children.get("attention")
        joint: Any = self.children.get("joint")
        z = s
        if attention is not None:
            (context, _), back_attention = attention.vjp(s, memory, x.lengths)
            a, back_joint = joint.vjp(np.concatenate([context, s], axis=2))
            z = _core.tanh(a)
        dropped, back_dropout = self.dropout.vjp(z, key=keys[2])
        loss, d = self.head.value_and_grad(dropped, targets)
        ds, dmemory = back_dropout(d), None
        if attention is not None:
            width = s.shape[2]
            both = back_joint(ds * (1 - z * z))
            dquery, dmemory = back_attention(np.ascontiguousarray(both[..., :width]))
            ds = both[..., width:] + dquery
        _, (dfirst,) = back_decoder(ds, want_dx=False)
        back_encoder(dmemory, (self._unfolded(dfirst),), want_dx=False)
        return loss, None

    def _teacher(self, targets: Ids) -> tuple[Ids, Any]:
        """What the decoder reads, and how long each row is."""
        known = np.where(targets == IGNORED, 0, targets).astype(np.int32)
        first = np.full((1, targets.shape[1]), self.end(), np.int32)
        return np.concatenate([first, known[:-1]]), (targets != IGNORED).sum(axis=0)

    def total(self, x: Rows, targets: Ids, state: Any = None) -> tuple[float, int, None]:
        """Return the sum of the losses without dropout, their number, and None."""
        memory, first = self.read(x)
        inputs, lengths = self._teacher(targets)
        s, _ = self.decoder(inputs, first, lengths)
        return (*self.head.total(self._joined(s, memory, x.lengths)[0], targets), None)

    def read(self, x: Rows) -> tuple[Any, Any]:
        """The encoder's outputs, and the first state of the decoder."""
        memory, (last,) = self.encoder(x.tokens, lengths=x.lengths)
        return memory, (self._folded(last),)

    def _joined(self, s: Any, memory: Any, lengths: Any) -> tuple[Any, Any]:
        """What the head reads, and the weights of attention."""
        attention: Any = self.children.get("attention")
        joint: Any = self.children.get("joint")
        if attention is None:
            return s, None
        context, weights = attention(s, memory, lengths)
        return _core.tanh(joint(np.concatenate([context, s], axis=2))), weights

    def step(self, tokens: Ids, state: Any, memory: Any) -> tuple[Any, Any, Any]:
        """One step for rows that share a source: log-probabilities [B, V], state, weights [B, T] or None."""
        s, state = self.decoder(tokens[None], state)
        shared = np.broadcast_to(memory, (memory.shape[0], len(tokens), memory.shape[2]))
        z, weights = self._joined(s, shared, None)
        logits = self.head.logits(z)[0].astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logits, state, None if weights is None else weights[:, 0]
