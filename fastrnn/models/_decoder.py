"""What writes outputs token by token: both passes, and the steps of a search."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastrnn import _check, _core
from fastrnn._random import fold
from fastrnn.data import IGNORED, Ids
from fastrnn.layers import Activation, Attention, Dropout, Embedding, Linear, Sequential
from fastrnn.losses import LinearCrossEntropy
from fastrnn.models.base import Model, log_probabilities, recurrent_layer


class Memory(NamedTuple):
    """What a decoder looks at: outputs of an encoder [T, S, M], their keys, and lengths [S]."""

    values: Any
    keys: Any
    lengths: Any

    def of(self, rows: Any) -> Memory:
        """That of some rows alone."""
        return Memory(self.values[:, rows], self.keys[:, rows], self.lengths[rows])


class Decoding(Model):
    """Children `decoder`, `head` and, for attention or a narrower head, `attention` and `joint`.

    Of its ``config`` it takes hidden_size (H), num_layers, embedding_size (E), cell, attention, dropout,
    embedding_dropout, tied, label_smoothing and dtype. With a `_context` of M numbers, all steps look at the
    same vector, in place of attention.
    """

    _context = 0

    config: dict[str, Any]
    decoder: Any
    above: Any = None
    head: Any

    def end(self) -> int:
        """The number of the token that begins and ends every output."""
        raise NotImplementedError

    def _decoder_children(self, targets: int, seeds: list[Any]) -> dict[str, Any]:
        """Make them for so many tokens; seeds are of embedding, cell, head, attention and joint."""
        c, dtype = self.config, self.config["dtype"]
        width, size, tied = c["hidden_size"], c["embedding_size"], c["tied"]
        above = 0 if c["attention"] is None else c["num_layers"] - 1

        def levels(inputs: int, count: int, seed: Any) -> Any:
            between = c["dropout"] if count > 1 else 0.0
            return recurrent_layer(c["cell"], inputs, width, count, seed=seed, dropout=between, dtype=dtype)

        write = levels(size, c["num_layers"] - above, seeds[1])
        if set(write.state_sizes) != {width}:
            raise ValueError(f"cell: expected one whose states all have H numbers, got {c['cell']!r}")
        table = [] if tied else [Embedding(targets, size, dtype=dtype, seed=seeds[0])]
        self.decoder = Sequential(*table, *dropped(c["embedding_dropout"]), write)
        read = size if tied else width
        self.head = LinearCrossEntropy(
            read, targets, label_smoothing=c["label_smoothing"], dtype=dtype, seed=seeds[2]
        )
        self.dropout, self.tanh = Dropout(c["dropout"]), Activation("tanh")
        children: dict[str, Any] = {"decoder": self.decoder}
        if c["attention"] is not None:
            children["attention"] = Attention(c["attention"], width, width, dtype=dtype, seed=seeds[3])
            children["joint"] = Linear(2 * width, read, dtype=dtype, seed=seeds[4])
            if above:
                self.above = Sequential(*dropped(c["dropout"]), levels(2 * width, above, seeds[5]))
                children["above"] = self.above
        elif self._context:
            children["joint"] = Linear(self._context + width, read, dtype=dtype, seed=seeds[4])
        elif read != width:
            children["joint"] = Linear(width, read, dtype=dtype, seed=seeds[4])
        return {**children, "head": self.head}

    def _split(self, state: Any) -> Any:
        """The state of all levels as those of the recurrent children."""
        if self.above is None:
            return (state,)
        return tuple(part[:1] for part in state), tuple(part[1:] for part in state)

    @staticmethod
    def _levels(states: Any) -> Any:
        """And back, for gradients."""
        return states[0] if len(states) == 1 else tuple(map(np.concatenate, zip(*states, strict=True)))

    def _decode_grad(
        self, memory: Any, lengths: Any, first: Any, targets: Ids, key: int | None
    ) -> tuple[float, Any, Any]:
        """The loss, and its gradients by the memory and by the first state.

        The memory is [T, B, M], with a context [B, M]; its gradient is None when nothing looks at it.
        """
        inputs, rows = self._teacher(targets)
        first, keys = self._split(first), [None if key is None else fold(key, k) for k in range(3)]
        (s, _), back_decoder = self.decoder.vjp(self._vectors(inputs), first[:1], lengths=rows, key=keys[0])
        attention: Any = self.children.get("attention")
        joint: Any = self.children.get("joint")
        z, read = s, s
        if attention is not None:
            (context, _), back_attention = attention.vjp(s, memory, lengths)
            read = np.concatenate([context, s], axis=2)
        elif self._context:
            read = np.concatenate([_repeated(memory, s), s], axis=2)
        if self.above is not None:
            (s, _), back_above = self.above.vjp(read, first[1:], lengths=rows, key=keys[1])
            read = np.concatenate([context, s], axis=2)
        if joint is not None:
            a, back_joint = joint.vjp(read)
            z, back_tanh = self.tanh.vjp(a)
        y, back_dropout = self.dropout.vjp(z, key=keys[2])
        loss, d = self.head.value_and_grad(y, targets)
        ds: Any = back_dropout(d)
        dmemory, dabove = None, ()
        if joint is not None:
            ds = back_joint(back_tanh(ds))
        if attention is not None:
            width = s.shape[2]
            dcontext, ds = ds[..., :width], ds[..., width:]
            if self.above is not None:
                dread, dabove = back_above(np.ascontiguousarray(ds))
                dcontext, ds = dcontext + dread[..., :width], dread[..., width:]
            dquery, dmemory = back_attention(np.ascontiguousarray(dcontext))
            ds = np.add(ds, dquery, out=dquery)
        elif self._context:
            dmemory, ds = ds[..., : self._context].sum(axis=0), np.ascontiguousarray(ds[..., self._context :])
        tied = self.config["tied"]
        dread, dfirst = back_decoder(ds, want_dx=tied)
        if tied:
            with self._home.lock:
                _core.embedding_backward(inputs, dread, self.head.grads["weight"])
        return loss, dmemory, self._levels((*dfirst, *dabove))

    def _decode_total(self, memory: Any, lengths: Any, first: Any, targets: Ids) -> tuple[float, int]:
        """The sum of the losses without dropout and smoothing, and their number."""
        inputs, rows = self._teacher(targets)
        first = self._split(first)
        s, _ = self.decoder(self._vectors(inputs), first[:1], rows)
        beside = None
        attention: Any = self.children.get("attention")
        if attention is not None:
            beside, _ = attention._run(s, memory, lengths)[0]
        elif self._context:
            beside = _repeated(memory, s)
        found: tuple[float, int] = self.head.total(self._read(s, beside, first[1:], rows)[0], targets)
        return found

    def _teacher(self, targets: Ids) -> tuple[Ids, Any]:
        """What the decoder reads, and how long each row is."""
        known = np.where(targets == IGNORED, 0, targets).astype(np.int32)
        first = np.full((1, targets.shape[1]), self.end(), np.int32)
        return np.concatenate([first, known[:-1]]), (targets != IGNORED).sum(axis=0)

    def _vectors(self, tokens: Ids) -> Any:
        """What the first child of the decoder takes."""
        return _core.embedding(tokens, self.head.params["weight"]) if self.config["tied"] else tokens

    def _read(self, s: Any, beside: Any, first: Any, rows: Any = None) -> tuple[Any, Any]:
        """What the head reads, with what is beside s; and the states of the levels above."""
        joint: Any = self.children.get("joint")
        read, last = s, ()
        if beside is not None:
            read = np.concatenate([beside, s], axis=2)
        if self.above is not None:
            s, last = self.above(read, first, rows)
            read = np.concatenate([beside, s], axis=2)
        return read if joint is None else self.tanh(joint(read)), last

    def _memory(self, values: Any, lengths: Any) -> Memory | None:
        """What `step` attends to."""
        attention: Any = self.children.get("attention")
        return None if attention is None else Memory(values, attention.keys(values), lengths)

    def step(self, tokens: Ids, state: Any, memory: Memory | None) -> tuple[Any, Any, Any]:
        """
        One step of B = K * S rows, row k * S + s being the k-th output of source s.

        Gives log-probabilities [B, V], the state, and weights [B, T], None without attention.
        """
        s, first = self.decoder(self._vectors(tokens[None]), state[:1])
        beside = weights = None
        if memory is not None:
            sources = memory.values.shape[1]
            if self._context:
                beside = np.tile(memory.values, (1, len(tokens) // sources, 1))
            else:
                beams = s.reshape(-1, sources, s.shape[2])  # the beam is an axis of queries
                attention: Any = self.children.get("attention")
                found, weights = attention._run(beams, *memory[::2], keys=memory.keys)[0]
                beside = found.reshape(1, len(tokens), -1)
                weights = weights.swapaxes(0, 1).reshape(len(tokens), -1)
        z, above = self._read(s, beside, state[1:])
        return log_probabilities(self.head.logits(z[0])), (*first, *above), weights


def search_options(beam: Any, length_penalty: Any, max_length: Any) -> None:
    """Check the options of a search."""
    _check.integer("beam", beam, 1)
    _check.real("length_penalty", length_penalty)
    if max_length is not None:
        _check.integer("max_length", max_length, 1)


def _repeated(vector: Any, s: Any) -> Any:
    """The vectors of the rows at every step of s."""
    return np.broadcast_to(vector, (*s.shape[:2], vector.shape[1]))


def dropped(rate: float) -> list[Dropout]:
    """A layer of dropout, or none."""
    return [Dropout(rate)] if rate else []


def decoder_config(
    hidden_size: Any,
    num_layers: Any,
    embedding_size: Any,
    cell: str,
    dropout: Any,
    embedding_dropout: Any,
    tied: Any,
    label_smoothing: Any,
    dtype: str,
) -> dict[str, Any]:
    """Check the options of a decoder."""
    width = _check.integer("hidden_size", hidden_size, 1)
    return {
        "hidden_size": width,
        "num_layers": _check.integer("num_layers", num_layers, 1),
        "embedding_size": width
        if embedding_size is None
        else _check.integer("embedding_size", embedding_size, 1),
        "cell": cell,
        "dropout": _check.real("dropout", dropout, 0.0, 1.0),
        "embedding_dropout": _check.real("embedding_dropout", embedding_dropout, 0.0, 1.0),
        "tied": _check.flag("tied", tied),
        "label_smoothing": _check.real("label_smoothing", label_smoothing, 0.0, 1.0),
        "dtype": dtype,
    }
