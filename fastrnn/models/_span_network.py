"""What finds an answer in a text: two pointers, which are distributions over its steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn._random import fold
from fastrnn.batches import Asked
from fastrnn.layers import Attention, Dropout, Embedding, Linear, Sequential
from fastrnn.losses import CrossEntropy
from fastrnn.models._decoder import dropped
from fastrnn.models.base import Model, recurrent_layer


class SpanNetwork(Model):
    """Children `reader` (of text and question), `attention`, `joiner` (of both) and `head`."""

    config: dict[str, Any]
    reader: Any
    joiner: Any
    head: Any
    _loss = CrossEntropy()

    def _make(self, words: int, seeds: list[Any]) -> None:
        c, dtype = self.config, self.config["dtype"]
        width, size = 2 * c["hidden_size"], c["embedding_size"]
        options: dict[str, Any] = {"bidirectional": True, "dtype": dtype}
        read = recurrent_layer(c["cell"], size, c["hidden_size"], 1, seed=seeds[1], **options)
        if read.output_size != c["hidden_size"]:
            raise ValueError(f"cell: expected one whose output has H numbers, got {c['cell']!r}")
        join = recurrent_layer(c["cell"], 3 * width, c["hidden_size"], 1, seed=seeds[3], **options)
        table = Embedding(words, size, dtype=dtype, seed=seeds[0])
        self.reader = Sequential(table, *dropped(c["embedding_dropout"]), read)
        attention = Attention(c["attention"], width, width, dtype=dtype, seed=seeds[2])
        self.joiner = Sequential(*dropped(c["dropout"]), join, *dropped(c["dropout"]))
        self.head = Linear(width, 2, dtype=dtype, seed=seeds[4])
        self.dropout = Dropout(c["dropout"])
        self._compose(
            {"reader": self.reader, "attention": attention, "joiner": self.joiner, "head": self.head}
        )

    def value_and_grad(
        self, x: Asked, targets: Any, state: Any = None, key: int | None = None
    ) -> tuple[float, None]:
        """Return the mean of -log p(first) - log p(last) of a batch, and None; add the gradients.

        Targets are [2, B], the first and the last token of each answer.
        """
        keys = [None if key is None else fold(key, k) for k in range(3)]
        attention: Any = self.children["attention"]
        (text, _), back_text = self.reader.vjp(x.text.tokens, lengths=x.text.lengths, key=keys[0])
        (asked, _), back_asked = self.reader.vjp(x.question.tokens, lengths=x.question.lengths, key=keys[1])
        (found, _), back_found = attention.vjp(text, asked, x.question.lengths)
        joined = np.concatenate([text, found, text * found], axis=2)
        (m, _), back_m = self.joiner.vjp(joined, lengths=x.text.lengths, key=keys[2])
        out, back_out = self.head.vjp(m)
        loss, dz = self._loss.value_and_grad(self._pointers(out, x.text.lengths), targets, scale=2.0)
        assert dz is not None
        djoined, _ = back_m(back_out(np.ascontiguousarray(dz.transpose(2, 1, 0))))
        width = text.shape[2]
        dtext, dfound, dproduct = (djoined[..., k * width : (k + 1) * width] for k in range(3))
        dquery, dasked = back_found(dfound + dproduct * text)
        back_asked(dasked, want_dx=False)
        back_text(dtext + dproduct * found + dquery, want_dx=False)
        return 2 * loss, None

    def total(self, x: Asked, targets: Any, state: Any = None) -> tuple[float, int, None]:
        """Return the sum over the answers of the losses without dropout, their number, and None."""
        loss, _ = self._loss.total(self._run(x), targets)
        return loss, targets.shape[1], None

    def _run(self, x: Asked) -> Any:
        """Logits of the first and the last token, [2, B, T]."""
        attention: Any = self.children["attention"]
        text, _ = self.reader(x.text.tokens, lengths=x.text.lengths)
        asked, _ = self.reader(x.question.tokens, lengths=x.question.lengths)
        found, _ = attention(text, asked, x.question.lengths)
        m, _ = self.joiner(np.concatenate([text, found, text * found], axis=2), lengths=x.text.lengths)
        return self._pointers(self.head(m), x.text.lengths)

    @staticmethod
    def _pointers(out: Any, lengths: Any) -> Any:
        """[2, B, T] of [T, B, 2], -inf past the end of a row."""
        z = np.ascontiguousarray(out.transpose(2, 1, 0))
        z[:, np.arange(z.shape[2]) >= lengths[:, None]] = -np.inf
        return z
