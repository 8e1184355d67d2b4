"""Words by their characters: letters to ids, batches of distinct words, and what is joined to embeddings."""

from __future__ import annotations

import hashlib
import string
from typing import Any, NamedTuple

import numpy as np

from fastrnn import _check, _core
from fastrnn._random import fold
from fastrnn.batches import Lengths, PaddedBatches, Sequences
from fastrnn.data import END_OF_LINE, UNKNOWN, Ids, Vocabulary
from fastrnn.layers import Activation, Concat, ConvMax, Embedding, Linear, Pool, Sequential
from fastrnn.layers.composite import Composite
from fastrnn.models.base import CELLS, recurrent_layer

JOINS = ("concatenate", "gate")
ENCODERS = ("CNN", *(name for name in CELLS if name != "DepthGatedLSTM"))  # which wants two levels
OPTIONS = {"embedding_size": 25, "hidden_size": 25, "widths": (2, 3, 4)}


class Spelled(NamedTuple):
    """
    A padded batch of words and of their letters.

    tokens and places are [T, B], lengths [B]; letters [C, U] are those of the U distinct words, of `sizes`
    [U] letters each, and `places` says which of them each word is.
    """

    tokens: Ids
    lengths: Lengths
    places: Ids
    letters: Ids
    sizes: Lengths


class Letters:
    """The letters of a vocabulary's words and of ASCII, and their numbers from 1 on; 0 is any other."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        words = (word for word in vocabulary.tokens if word not in (UNKNOWN, END_OF_LINE))
        found = set(string.digits + string.ascii_letters + string.punctuation).union(*words)
        self._number = {letter: k for k, letter in enumerate(sorted(found), 1)}

    def __len__(self) -> int:
        return len(self._number) + 1

    def spell(self, name: str, sentences: Any) -> tuple[Ids, Sequences]:
        """Which distinct word each word is, [N], and the letters of the distinct words."""
        known: dict[str, int] = {}
        types = [known.setdefault(word, len(known)) for sentence in sentences for word in sentence]
        if "" in known:
            raise ValueError(f"{name}: expected words of at least one character, got ''")
        number, ids = self._number, []
        for word in known:
            ids.append(np.fromiter((number.get(letter, 0) for letter in word), np.int32, len(word)))
        return np.array(types, np.int32), Sequences(name, ids)


class SpelledBatches(PaddedBatches):
    """
    Batches with the letters of their distinct words; item k is ``(Spelled(...), targets)``.

    Parameters
    ----------
    types, letters
        See `Letters.spell`.
    inputs, targets, batch, options
        As `PaddedBatches` takes them. A word that became unknown keeps its letters.
    """

    def __init__(
        self, types: Ids, letters: Sequences, inputs: Sequences, targets: Any, batch: int, **options: Any
    ) -> None:
        self._types, self._letters = types, letters
        super().__init__(inputs, targets, batch, **options)

    def __getitem__(self, k: int) -> tuple[Any, Ids]:
        x, targets = super().__getitem__(k)
        rows = self.rows(k)
        # Past the end of a row stands a word that is there anyway.
        filler = int(self._types[self.inputs.starts[rows[0]]]) if len(rows) else 0
        types = self.inputs.padded(rows, self._types, filler)
        distinct, places = np.unique(types, return_inverse=True)
        letters = self._letters.padded(distinct, self._letters.flat, 0)
        where = places.reshape(types.shape).astype(np.int32)
        return Spelled(x.tokens, x.lengths, where, letters, self._letters.lengths[distinct]), targets

    def fingerprint(self) -> dict[str, Any]:
        """Describe the data, spelling included."""
        digest = hashlib.sha256(self._types.data)
        digest.update(self._letters.flat.data)
        return {**super().fingerprint(), "spelling": digest.hexdigest()}


class SpelledWords(Composite):
    """
    What stands for a word: its embedding, and what an encoder makes of its letters.

    The encoder runs once over the distinct words of a batch, by their lengths. "concatenate" puts both side
    by side. "gate": with m = tanh(project(letters)), as wide as the embedding e, and g = sigmoid(gate([e,
    m])), it is g e + (1 - g) m (Miyamoto, Cho 2016, arXiv:1606.01700; Rei et al. 2016, arXiv:1611.04361).

    Parameters
    ----------
    words
        V, E: size of the vocabulary and of its vectors.
    letters
        How many there are.
    kind
        "CNN" (`ConvMax` of several widths, tanh) or the name of a recurrent layer, which reads both ways and
        gives its last states.
    join
        "concatenate" or "gate".
    options
        Sizes, see `OPTIONS`: ``hidden_size`` is that of one direction, or the filters of each width.
    dtype, seed
        Of the parameters.
    """

    def __init__(
        self,
        words: tuple[int, int],
        letters: int,
        kind: str,
        join: str,
        options: dict[str, Any],
        dtype: str,
        seed: int | None,
    ) -> None:
        _check.choice("characters", kind, ENCODERS)
        self.join = _check.choice("join", join, JOINS)
        seeds = [None if seed is None else fold(seed, k) for k in range(5)]
        encoder, width = _encoder(kind, letters, options, dtype, seeds[:2])
        size = words[1]
        children: dict[str, Any] = {
            "words": Embedding(*words, dtype=dtype, seed=seeds[2]),
            "letters": encoder,
        }
        if join == "gate":
            children["project"] = Sequential(
                Linear(width, size, dtype=dtype, seed=seeds[3]), Activation("tanh")
            )
            children["gate"] = Sequential(
                Linear(2 * size, size, dtype=dtype, seed=seeds[4]), Activation("sigmoid")
            )
        self.width = size if join == "gate" else size + width
        self._compose(children)

    def __call__(self, x: Spelled) -> Any:
        """Give what stands for the words, [T, B, width]."""
        child: Any = self.children
        found = child["letters"](x.letters, lengths=x.sizes)
        spelled = found[0] if child["letters"].recurrent else found
        e = child["words"](x.tokens)
        if self.join == "concatenate":
            return np.concatenate([e, _core.embedding(x.places, spelled)], axis=-1)
        m = _core.embedding(x.places, child["project"](spelled))
        g = child["gate"](np.concatenate([e, m], axis=-1))
        return m + g * (e - m)

    def vjp(self, x: Spelled, key: int | None = None) -> tuple[Any, Any]:
        """As a plain call, and a function that takes dy and adds the gradients of all parameters."""
        child: Any = self.children
        found, back_letters = child["letters"].vjp(x.letters, lengths=x.sizes, key=key)
        spelled = found[0] if child["letters"].recurrent else found
        e, back_words = child["words"].vjp(x.tokens)
        size = e.shape[-1]

        def spread_back(dm: Any, like: Any) -> Any:
            into = np.zeros(like.shape, like.dtype)
            _core.embedding_backward(x.places, dm, into)
            return into

        if self.join == "concatenate":

            def back(dy: Any) -> None:
                back_words(dy[..., :size])
                back_letters.consume(spread_back(dy[..., size:], spelled))

            return np.concatenate([e, _core.embedding(x.places, spelled)], axis=-1), back
        projected, back_project = child["project"].vjp(spelled)
        m = _core.embedding(x.places, projected)
        g, back_gate = child["gate"].vjp(np.concatenate([e, m], axis=-1))

        def back_through_gate(dy: Any) -> None:
            both = back_gate(dy * (e - m))
            through = g * dy
            back_words(through + both[..., :size])
            dm = (dy - through) + both[..., size:]
            back_letters.consume(back_project(spread_back(dm, projected)))

        return m + g * (e - m), back_through_gate


def check_options(given: dict[str, Any] | None) -> dict[str, Any]:
    """All options of an encoder."""
    options = {**OPTIONS, **(given or {})}
    for name in options:
        if name not in OPTIONS:
            raise ValueError(f"character_options: expected some of {', '.join(OPTIONS)}, got {name!r}")
    return {
        "embedding_size": _check.integer("embedding_size", options["embedding_size"], 1),
        "hidden_size": _check.integer("hidden_size", options["hidden_size"], 1),
        "widths": _check.integers("widths", options["widths"], 1),
    }


def _encoder(
    kind: str, letters: int, options: dict[str, Any], dtype: str, seeds: list[int | None]
) -> tuple[Sequential, int]:
    """A model of [C, U] letters to [U, width], and the width."""
    size, hidden = options["embedding_size"], options["hidden_size"]
    table = Embedding(letters, size, dtype=dtype, seed=seeds[0])
    if kind != "CNN":
        layer = recurrent_layer(kind, size, hidden, 1, bidirectional=True, dtype=dtype, seed=seeds[1])
        return Sequential(table, layer, Pool("last", bidirectional=True)), 2 * layer.output_size
    filters: list[Any] = [
        ConvMax(size, hidden, width, dtype=dtype, seed=None if seeds[1] is None else fold(seeds[1], k))
        for k, width in enumerate(options["widths"])
    ]
    together = Concat(*filters) if len(filters) > 1 else filters[0]
    return Sequential(table, together, Activation("tanh")), hidden * len(filters)
