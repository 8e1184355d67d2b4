"""What an encoder-decoder computes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn._random import fold
from fastrnn.batches import Rows
from fastrnn.data import Ids
from fastrnn.layers import Dropout, Embedding, Sequential
from fastrnn.models._decoder import Decoding, Memory, dropped
from fastrnn.models.base import recurrent_layer


class Seq2SeqNetwork(Decoding):
    """Children `encoder`, and those of a decoder."""

    encoder: Any

    def _make(self, sources: int, targets: int, seeds: list[Any]) -> None:
        c, dtype = self.config, self.config["dtype"]
        width, both, size = c["hidden_size"], c["bidirectional"], c["embedding_size"]
        options = {"dropout": c["dropout"] if c["num_layers"] > 1 else 0.0, "dtype": dtype}
        sizes = (size, width // 2 if both else width, c["num_layers"])
        read = recurrent_layer(c["cell"], *sizes, bidirectional=both, seed=seeds[1], **options)
        table = Embedding(sources, size, dtype=dtype, seed=seeds[0])
        self.encoder = Sequential(table, *dropped(c["embedding_dropout"]), read)
        self._compose({"encoder": self.encoder, **self._decoder_children(targets, seeds[2:])})

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
        seen, back_seen = memory, None
        if "attention" in self.children:
            seen, back_seen = Dropout(self.config["memory_dropout"]).vjp(memory, key=keys[2])
        loss, dseen, dfirst = self._decode_grad(seen, x.lengths, self._folded(last), targets, keys[1])
        dmemory = None if back_seen is None else back_seen(dseen)
        back_encoder(dmemory, (self._unfolded(dfirst),), want_dx=False)
        return loss, None

    def total(self, x: Rows, targets: Ids, state: Any = None) -> tuple[float, int, None]:
        """Return the sum of the losses without dropout and smoothing, their number, and None."""
        memory, (last,) = self.encoder(x.tokens, lengths=x.lengths)
        return (*self._decode_total(memory, x.lengths, self._folded(last), targets), None)

    def read(self, x: Rows) -> tuple[Memory | None, Any]:
        """What the decoder attends to, and its first state."""
        memory, (last,) = self.encoder(x.tokens, lengths=x.lengths)
        return self._memory(memory, x.lengths), self._split(self._folded(last))
