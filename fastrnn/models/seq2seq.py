"""Sequences to sequences: an encoder, a decoder, attention, beam search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fastrnn import _check, metrics
from fastrnn._random import fold
from fastrnn.batches import PaddedBatches, Sequences
from fastrnn.data import END_OF_LINE, Vocabulary
from fastrnn.layers.attention import KINDS as ATTENTIONS
from fastrnn.models import _beam
from fastrnn.models._beam import Hypothesis
from fastrnn.models._decoder import decoder_config, search_options
from fastrnn.models._sentences import encode, sentences, word_vocabulary
from fastrnn.models._seq2seq_network import Seq2SeqNetwork
from fastrnn.models.base import validation_pair

if TYPE_CHECKING:
    from typing_extensions import Self

    from fastrnn.callbacks import History

Sentences = Sequence[Sequence[str]]


class Translation(NamedTuple):
    """Loss in nats a token, the end included; share of outputs that are right as a whole; and sequences."""

    loss: float
    exact: float
    sequences: int


class Seq2Seq(Seq2SeqNetwork):
    """
    Make a sequence of tokens of another one: translation, spelling, transliteration.

    The encoder reads the source; its last state is the first of the decoder, which is trained on the right
    output up to each token (teacher forcing). With attention, every output of the decoder is joined with a
    sum of the encoder's outputs (Luong et al. 2015, arXiv:1508.04025, without feeding it back). Of several
    levels the first one asks, and those above read the sums, beside it, in every step (as in Wu et al. 2016,
    arXiv:1609.08144), so that they know what has been looked at before.

    Parameters
    ----------
    source, target
        Vocabularies of words, or training sequences, out of which they are made. `<eos>` ends every output.
    hidden_size, num_layers
        H of the decoder, and L of both; a bidirectional encoder has H / 2 a direction.
    embedding_size
        E; `hidden_size` if None.
    cell
        The name of a recurrent layer.
    bidirectional
        Read the source both ways.
    attention
        ``"dot"``, ``"general"``, ``"additive"`` (see `Attention`) or None.
    dropout, embedding_dropout, memory_dropout
        Before the head and between layers; after the embeddings; of the encoder's outputs, where attention
        looks at them.
    tied
        The decoder's embedding is the weight of the head (Press and Wolf 2017, arXiv:1608.05859), which then
        reads E numbers: those of the layer that joins attention, or without it of a layer with tanh unless E
        is H.
    label_smoothing
        See `LinearCrossEntropy`; losses on held-out data are without it.
    compute
        What products are computed in: ``"bfloat16"``, or None for the dtype; see ``Layer.set_compute``.
    dtype, seed
        ``"float32"`` or ``"float64"``; of the initial parameters.

    Examples
    --------
    >>> model = fastrnn.Seq2Seq(english, german, hidden_size=256, attention="general", seed=0)
    >>> model.fit(english, german, validation_data=(dev_english, dev_german), epochs=10)
    >>> model.predict([["a", "dog", "sleeps"]], beam=5)
    """

    def __init__(
        self,
        source: Vocabulary | Sentences,
        target: Vocabulary | Sentences,
        hidden_size: int = 128,
        num_layers: int = 1,
        *,
        embedding_size: int | None = None,
        cell: str = "LSTM",
        bidirectional: bool = True,
        attention: str | None = "general",
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        memory_dropout: float = 0.0,
        tied: bool = False,
        label_smoothing: float = 0.0,
        dtype: str = "float32",
        compute: str | None = None,
        seed: int | None = None,
    ) -> None:
        self.source, self.target = word_vocabulary("source", source), word_vocabulary("target", target)
        self.config = decoder_config(
            hidden_size,
            num_layers,
            embedding_size,
            cell,
            dropout,
            embedding_dropout,
            tied,
            label_smoothing,
            dtype,
        )
        width = self.config["hidden_size"]
        if attention is not None:
            _check.choice("attention", attention, ATTENTIONS)
        if _check.flag("bidirectional", bidirectional) and width % 2:
            raise ValueError(f"hidden_size: expected an even number for a bidirectional encoder, got {width}")
        if memory_dropout and attention is None:
            raise ValueError(f"memory_dropout: expected 0 without attention, got {memory_dropout!r}")
        self.config |= {
            "bidirectional": bool(bidirectional),
            "attention": attention,
            "memory_dropout": _check.real("memory_dropout", memory_dropout, 0.0, 1.0),
        }
        seeds = [None if seed is None else fold(_check.integer("seed", seed, 0), i) for i in range(8)]
        self._make(len(self.source), len(self.target), seeds)
        self.set_compute(compute)

    def fit(
        self,
        x: Sentences,
        y: Sentences,
        validation_data: tuple[Sentences, Sentences] | None = None,
        *,
        batch: int = 32,
        seed: int = 0,
        **training: Any,
    ) -> History:
        """
        Train on sequences and what is to be made of them.

        Parameters
        ----------
        x, y
            Lists of tokens; a list of y may be empty.
        validation_data
            Another such pair: the parameters of the epoch with the smallest loss on it are kept.
        batch
            Sequences of a batch, of alike lengths.
        seed
            Of the order of the sequences and of dropout.
        training
            As `Model.train` takes it: epochs, lr, optimizer, patience, callbacks, checkpoint, ...
        """
        data = PaddedBatches(*self._encode(x, y), batch, seed=seed, aligned=False)
        held_out = None
        if validation_data is not None:
            held_out = PaddedBatches(
                *self._encode(*validation_pair(validation_data), "validation_data"), 64, aligned=False
            )
        return self.train(data, held_out, seed=seed, **training)

    def _encode(self, x: Sentences, y: Sentences, name: str = "") -> tuple[Sequences, Sequences]:
        first, second = (f"{name}[0]", f"{name}[1]") if name else ("x", "y")
        x, y = _check.items(x), _check.items(y)
        inputs = encode(first, x, self.source)
        if not hasattr(y, "__len__") or len(y) != len(x):
            got = len(y) if hasattr(y, "__len__") else _check.describe(y)
            raise ValueError(f"{second}: expected {len(x)} sequences, as {first} has, got {got}")
        return inputs, encode(
            second, [[*tokens, END_OF_LINE] for tokens in sentences(second, y)], self.target
        )

    def evaluate(self, x: Sentences, y: Sentences) -> Translation:
        """Return the loss on `y`, and the share of sequences for which `predict` gives exactly it."""
        from fastrnn.training import evaluate

        x, y = _check.items(x), _check.items(y)
        loss = evaluate(self, PaddedBatches(*self._encode(x, y), 64, aligned=False))
        exact = metrics.accuracy([list(tokens) for tokens in y], self.predict(x))
        return Translation(loss, exact, len(y))

    def predict(self, x: Sentences, **search: Any) -> list[list[str]]:
        """Return the best output of each sequence; `search` as in `translate`."""
        return [found[0].tokens for found in self.translate(x, **search)]

    def translate(
        self,
        x: Sentences,
        beam: int = 1,
        length_penalty: float = 0.0,
        max_length: int | None = None,
        batch: int = 32,
    ) -> list[list[Hypothesis]]:
        """
        Return the outputs that a beam search finds, the best first, each with its log-probability.

        Parameters
        ----------
        x
            Lists of tokens.
        beam
            Outputs that are followed side by side; 1 takes the likeliest token each time.
        length_penalty
            Log-probabilities are divided by ``((5 + length) / 6) ** length_penalty`` before they are
            compared (Wu et al. 2016, arXiv:1609.08144).
        max_length
            Tokens after which an output is cut; twice the source and ten more if None.
        batch
            Sequences that are searched for side by side; what is found does not depend on it.
        """
        search_options(beam, length_penalty, max_length)
        inputs = encode("x", x, self.source)
        data, found = PaddedBatches(inputs, inputs, batch), dict[int, list[Hypothesis]]()
        for k in range(len(data)):
            rows, _ = data[k]
            most = [2 * int(n) + 10 if max_length is None else max_length for n in rows.lengths]
            outputs = _beam.search(self, *self.read(rows), beam, length_penalty, most)
            found |= dict(zip(data.rows(k).tolist(), outputs, strict=True))
        return [found[place] for place in range(len(inputs))]

    def describe(self) -> dict[str, Any]:
        """Return all of the model but its parameters, as a checkpoint holds it."""
        return {
            "kind": "Seq2Seq",
            "config": self.config,
            "source": self.source.to_dict(),
            "target": self.target.to_dict(),
        }

    @classmethod
    def _build(cls, model: dict[str, Any]) -> Self:
        source, target = (Vocabulary.from_dict(model[name]) for name in ("source", "target"))
        return cls(source, target, **model["config"], seed=0)

    def end(self) -> int:
        """The number of the token that begins and ends every output."""
        return self.target.id(END_OF_LINE)
