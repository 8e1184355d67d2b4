"""A vector to a sequence: what any layer makes of an input is told in tokens."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _check, metrics
from fastrnn._random import fold
from fastrnn.batches import DescribedBatches, Sequences
from fastrnn.data import END_OF_LINE, Ids, Vocabulary
from fastrnn.layers import Embedding, Lambda, Linear
from fastrnn.layers.base import Layer
from fastrnn.models import _beam
from fastrnn.models._beam import Hypothesis
from fastrnn.models._decoder import Decoding, Memory, decoder_config, search_options
from fastrnn.models._sentences import encode, sentences, word_vocabulary
from fastrnn.models.base import validation_pair
from fastrnn.models.seq2seq import Sentences, Translation

if TYPE_CHECKING:
    from typing_extensions import Self

    from fastrnn.callbacks import History


class Captioner(Decoding):
    """
    Write a sequence of tokens about a vector: captions of pictures, words for measurements.

    An encoder, which is any layer, makes a vector of each input; a linear layer with tanh makes the first
    states of a recurrent decoder of it, which is trained on the right output up to each token. What the
    decoder gives is joined with the vector in every step, by another such layer, before the head: far from
    the begin nothing of the vector is left in the states until the decoder has learned to keep it.

    Parameters
    ----------
    encoder
        Makes [B, D] of x [B, ...]: a `Sequential` that ends in a dense layer or in a `Pool`, say, with
        ``batch_first=True`` where it has recurrent layers. It becomes a part of the model.
    vector_size
        D.
    target
        A vocabulary of words, or training sequences, out of which it is made. `<eos>` ends every output.
    hidden_size, num_layers, embedding_size, cell
        H, L and E of the decoder; E is H if None.
    dropout, embedding_dropout
        Before the head and between layers; after the embedding.
    tied, label_smoothing
        See `Seq2Seq`.
    compute
        What products are computed in: ``"bfloat16"``, or None for the dtype; see ``Layer.set_compute``.
    seed
        Of the initial parameters, but for the encoder's; the dtype is the encoder's.

    References
    ----------
    Vinyals et al. 2015, arXiv:1411.4555 (the vector at the begin); Mao et al. 2015, arXiv:1412.6632 (in every
    step, beside the recurrent layer).

    Examples
    --------
    >>> encoder = fastrnn.Sequential(fastrnn.Linear(256, 128), fastrnn.Activation("relu"))
    >>> model = fastrnn.Captioner(encoder, 128, captions, hidden_size=128, seed=0)
    >>> model.fit(pictures, captions, validation_data=(dev_pictures, dev_captions), epochs=20)
    >>> model.caption(pictures[:1], beam=3)[0][0].log_probability
    """

    def __init__(
        self,
        encoder: Layer,
        vector_size: int,
        target: Vocabulary | Sentences,
        hidden_size: int = 128,
        num_layers: int = 1,
        *,
        embedding_size: int | None = None,
        cell: str = "LSTM",
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        tied: bool = False,
        label_smoothing: float = 0.0,
        compute: str | None = None,
        seed: int | None = None,
    ) -> None:
        if not isinstance(encoder, Layer):
            raise TypeError(f"encoder: expected a layer, got {_check.describe(encoder)}")
        self.target = word_vocabulary("target", target)
        self.vector_size = _check.integer("vector_size", vector_size, 1)
        dtype = "float32" if encoder.dtype is None else str(encoder.dtype)
        options = (cell, dropout, embedding_dropout, tied, label_smoothing, dtype)
        self.config = decoder_config(hidden_size, num_layers, embedding_size, *options)
        self.config["attention"], self._context = None, self.vector_size
        seeds = [None if seed is None else fold(_check.integer("seed", seed, 0), i) for i in range(6)]
        decoder = self._decoder_children(len(self.target), seeds)
        self.encoder: Any = encoder
        self._numbers = len(self.decoder.children[next(reversed(self.decoder.children))].states)
        width = self._numbers * self.config["num_layers"] * self.config["hidden_size"]
        bridge = Linear(self.vector_size, width, dtype=dtype, seed=seeds[5])
        self._compose({"encoder": encoder, "bridge": bridge, **decoder})
        self.set_compute(compute)

    def _first(self, flat: Any) -> Any:
        """The states of the decoder, each [L, B, H], out of [B, numbers * L * H]."""
        parts = flat.reshape(len(flat), self._numbers, self.config["num_layers"], -1).transpose(1, 2, 0, 3)
        return tuple(np.ascontiguousarray(part) for part in parts)

    def _vector(self, v: Any, rows: int) -> Any:
        if v.shape != (rows, self.vector_size):
            raise ValueError(
                f"encoder: expected to give shape (B, D) = {(rows, self.vector_size)}, got {v.shape}"
            )
        return v

    def value_and_grad(
        self, x: Any, targets: Ids, state: Any = None, key: int | None = None
    ) -> tuple[float, None]:
        """Return the mean loss a token of a batch, and None; add the gradients to ``self.grads``."""
        keys = [None if key is None else fold(key, k) for k in range(2)]
        out, back_encoder = self.encoder.vjp(x, key=keys[0])
        bridge: Any = self.children["bridge"]
        v = self._vector(out[0] if self.encoder.recurrent else out, len(x))
        flat, back_bridge = bridge.vjp(v)
        flat, back_tanh = self.tanh.vjp(flat)
        loss, dv, dfirst = self._decode_grad(v, None, self._first(flat), targets, keys[1])
        dflat = np.stack(dfirst).transpose(2, 0, 1, 3).reshape(flat.shape)
        dv += back_bridge(back_tanh(dflat))
        back_encoder.consume(dv)
        return loss, None

    def total(self, x: Any, targets: Ids, state: Any = None) -> tuple[float, int, None]:
        """Return the sum of the losses without dropout and smoothing, their number, and None."""
        memory, (first,) = self.read(x)
        return (*self._decode_total(memory.values[0], None, first, targets), None)

    def read(self, x: Any) -> tuple[Memory, Any]:
        """The vectors, and the first state of the decoder."""
        out = self.encoder(x)
        bridge: Any = self.children["bridge"]
        v = self._vector(out[0] if self.encoder.recurrent else out, len(x))
        return Memory(v[None], v[None], np.ones(len(v), np.int64)), self._split(
            self._first(self.tanh(bridge(v)))
        )

    def fit(
        self,
        x: Any,
        y: Sentences,
        validation_data: tuple[Any, Sentences] | None = None,
        *,
        batch: int = 32,
        seed: int = 0,
        **training: Any,
    ) -> History:
        """
        Train on inputs and what is to be said of them.

        Parameters
        ----------
        x, y
            Numbers [N, ...] as the encoder takes them, and N lists of tokens.
        validation_data
            Another such pair: the parameters of the epoch with the smallest loss on it are kept.
        batch
            Rows of a batch, whose outputs have alike lengths.
        seed
            Of the order of the rows and of dropout.
        training
            As `Model.train` takes it: epochs, lr, optimizer, patience, callbacks, checkpoint, ...

        Raises
        ------
        ValueError, TypeError
            x and y do not go together, are empty, or a number is not finite.
        """
        data = DescribedBatches(*self._pair(x, y), batch, seed=seed)
        held_out = None
        if validation_data is not None:
            held_out = DescribedBatches(*self._pair(*validation_pair(validation_data), "validation_data"), 64)
        return self.train(data, held_out, seed=seed, **training)

    def _numbers_of(self, name: str, x: Any) -> Any:
        found = np.asarray(x)
        if found.dtype.kind not in "fiu":
            raise TypeError(f"{name}: expected numbers, got {found.dtype}")
        if found.ndim < 2 or not len(found):
            raise ValueError(f"{name}: expected shape (N, ...) with N > 0, got {found.shape}")
        if found.dtype.kind != "f" and isinstance(next(self.encoder._leaves())[1], Embedding):
            return np.ascontiguousarray(found, dtype=np.int64)
        with np.errstate(over="ignore"):
            cast = np.ascontiguousarray(found, dtype=self.config["dtype"])
        wrong = ~np.isfinite(cast).reshape(len(cast), -1).all(axis=1)
        if wrong.any():
            raise ValueError(
                f"{name}[{wrong.argmax()}]: expected finite numbers of {cast.dtype}, got some that are not"
            )
        return cast

    def _pair(self, x: Any, y: Sentences, name: str = "") -> tuple[Any, Sequences]:
        first, second = (f"{name}[0]", f"{name}[1]") if name else ("x", "y")
        inputs = self._numbers_of(first, x)
        targets = [[*tokens, END_OF_LINE] for tokens in sentences(second, y)]
        if len(targets) != len(inputs):
            raise ValueError(
                f"{second}: expected {len(inputs)} sequences, as {first} has, got {len(targets)}"
            )
        return inputs, encode(second, targets, self.target)

    def evaluate(self, x: Any, y: Sentences) -> Translation:
        """Return the loss on `y`, and the share of sequences for which `predict` gives exactly it."""
        from fastrnn.training import evaluate

        y = _check.items(y)
        loss = evaluate(self, DescribedBatches(*self._pair(x, y), 64))
        found = self.predict(x, max_length=max(50, *map(len, y)))
        return Translation(loss, metrics.accuracy([list(row) for row in y], found), len(y))

    def predict(self, x: Any, **search: Any) -> list[list[str]]:
        """Return the best output for each row; `search` as in `caption`."""
        return [found[0].tokens for found in self.caption(x, **search)]

    def caption(
        self, x: Any, beam: int = 1, length_penalty: float = 0.0, max_length: int = 50, batch: int = 64
    ) -> list[list[Hypothesis]]:
        """
        Return the outputs that a beam search finds, the best first, each with its log-probability.

        Parameters
        ----------
        x
            [N, ...].
        beam, length_penalty, batch
            See `Seq2Seq.translate`.
        max_length
            Tokens after which an output is cut.
        """
        _check.integer("max_length", max_length, 1)
        search_options(beam, length_penalty, max_length)
        inputs, found = self._numbers_of("x", x), list[list[Hypothesis]]()
        for at in range(0, len(inputs), _check.integer("batch", batch, 1)):
            memory, state = self.read(inputs[at : at + batch])
            most = [max_length] * len(inputs[at : at + batch])
            found += _beam.search(self, memory, state, beam, length_penalty, most)
        return found

    def end(self) -> int:
        """The number of the token that begins and ends every output."""
        return self.target.id(END_OF_LINE)

    def describe(self) -> dict[str, Any]:
        """Return all of the model but its parameters and its encoder, as a checkpoint holds it."""
        config = {**self.config, "vector_size": self.vector_size}
        parts = {"encoder": _outline(self.encoder), "target": self.target.to_dict()}
        return {"kind": "Captioner", "config": config, **parts}

    @classmethod
    def _build(cls, model: dict[str, Any], encoder: Layer | None = None) -> Self:
        if encoder is None:
            raise ValueError("encoder: expected a layer like that of the model that was saved, got None")
        for saved, given in zip_longest(model["encoder"], _outline(encoder)):
            if saved != given:
                raise ValueError(f"encoder: expected {saved} as in the model that was saved, got {given}")
        config = {
            name: value for name, value in model["config"].items() if name not in ("attention", "dtype")
        }
        return cls(encoder, target=Vocabulary.from_dict(model["target"]), **config, seed=0)


def _outline(encoder: Layer) -> list[str]:
    """The parts of an encoder in words, but for functions."""
    leaves = encoder._leaves()
    return [
        f"{name} {type(leaf).__name__ if isinstance(leaf, Lambda) else leaf!r}".strip()
        for name, leaf in leaves
    ]
