"""Sentences and labels on their way to ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastrnn import _check
from fastrnn.batches import Sequences
from fastrnn.data import UNKNOWN, Vocabulary


def word_vocabulary(name: str, given: Any) -> Vocabulary:
    """A vocabulary of words, made of sentences if it is none."""
    if isinstance(given, Vocabulary):
        if given.unit != "word":
            raise ValueError(f"{name}: expected a vocabulary of words, got one of characters")
        return given
    return Vocabulary.from_sentences(sentences(name, given))


def sentences(name: str, given: Any) -> Sequence[Sequence[str]]:
    """Check that sentences are lists of words: a string in place of one is more often a slip than a wish."""
    given = _check.items(given)
    if isinstance(given, (str, bytes)) or not hasattr(given, "__len__"):
        raise TypeError(f"{name}: expected a list of sentences, got {_check.describe(given)}")
    for place, sentence in enumerate(given):
        if isinstance(sentence, (str, bytes)) or not hasattr(sentence, "__len__"):
            raise TypeError(f"{name}[{place}]: expected a list of words, got {_check.describe(sentence)}")
    return given  # type: ignore[no-any-return]


def encode(name: str, given: Any, vocabulary: Vocabulary) -> Sequences:
    """Ids of the words, those that are not known being that of `<unk>`."""
    look_up, ids = vocabulary.id, []
    for place, sentence in enumerate(sentences(name, given)):
        for word in sentence:
            if not isinstance(word, str):
                raise TypeError(f"{name}[{place}]: expected words, got {_check.describe(word)}")
        ids.append(np.fromiter((look_up(word) for word in sentence), np.int32, len(sentence)))
    return Sequences(name, ids)


def replacing(vocabulary: Vocabulary, inputs: Sequences, rate: float) -> dict[str, Any]:
    """Options of batches in which words that occur once are `<unk>` with probability `rate`."""
    rare = np.asarray(np.bincount(inputs.flat, minlength=len(vocabulary)) == 1)
    return {"rare": rare, "unknown": vocabulary.id(UNKNOWN), "rate": rate}


def load_vectors(model: Any, embedding: Any, vocabulary: Vocabulary, vectors: Any) -> int:
    """Copy the vectors of the words that both know into the embedding."""
    wanted = embedding.embedding_dim
    _check.keyed("vectors", vectors)
    if vectors.vector_size != wanted:
        raise ValueError(f"vectors: expected {wanted} numbers for each word, got {vectors.vector_size}")
    table, known = embedding.params["weight"], 0
    for row, word in enumerate(vocabulary.tokens):
        if word in vectors.key_to_index:
            table[row] = vectors[word]
            known += 1
    model.touch()
    return known


class Labels:
    """
    The distinct names of labels, sorted, and the numbers that stand for them.

    Parameters
    ----------
    name
        What messages call them.
    given
        Names, or lists of names.
    """

    def __init__(self, name: str, given: Iterable[Any]) -> None:
        if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__"):
            raise TypeError(f"{name}: expected a list of names, got {_check.describe(given)}")
        given = _check.items(given)
        found: set[str] = set()
        for item in given:
            found.update(item if hasattr(item, "__iter__") and not isinstance(item, str) else [item])
        for item in found:
            if not isinstance(item, str):
                raise TypeError(f"{name}: expected names, got {_check.describe(item)}")
        if not found:
            raise ValueError(f"{name}: expected at least one name, got none")
        self.names = sorted(found)
        self._number = {label: k for k, label in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def _id(self, where: str, label: Any) -> int:
        number = self._number.get(label) if isinstance(label, str) else None
        if number is None:
            some = ", ".join(map(repr, self.names[:5])) + (", ..." if len(self.names) > 5 else "")
            raise ValueError(
                f"{where}: expected one of {len(self)} labels, {some}, got {_check.describe(label)}"
            )
        return number

    def sequences(self, name: str, given: Any, whose: str, inputs: Sequence[Any]) -> Sequences:
        """Ids of lists of labels, as long as the sequences that they belong to."""
        given = _check.items(given)
        if not hasattr(given, "__len__") or len(given) != len(inputs):
            got = len(given) if hasattr(given, "__len__") else _check.describe(given)
            raise ValueError(f"{name}: expected {len(inputs)} lists of labels, as {whose} has, got {got}")
        ids = []
        for place, (labels, words) in enumerate(zip(given, inputs, strict=True)):
            where = f"{name}[{place}]"
            if len(labels) != len(words):
                raise ValueError(
                    f"{where}: expected {len(words)} labels, one for each word, got {len(labels)}"
                )
            ids.append(np.fromiter((self._id(where, label) for label in labels), np.int32, len(labels)))
        return Sequences(name, ids)

    def array(self, name: str, given: Any, whose: str, inputs: Sequence[Any]) -> npt.NDArray[np.int32]:
        """Ids of labels, one for each sequence."""
        given = _check.items(given)
        if not hasattr(given, "__len__") or len(given) != len(inputs):
            got = len(given) if hasattr(given, "__len__") else _check.describe(given)
            raise ValueError(f"{name}: expected {len(inputs)} labels, one for each of {whose}, got {got}")
        numbers = (self._id(f"{name}[{k}]", label) for k, label in enumerate(given))
        return np.fromiter(numbers, np.int32, len(given))
