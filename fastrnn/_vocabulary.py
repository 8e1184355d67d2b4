"""A vocabulary: tokens, and the ids that stand for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fastrnn import _check

Ids = npt.NDArray[np.int32]
Unit = Literal["character", "word"]

UNKNOWN = "<unk>"
END_OF_LINE = "<eos>"


def _check_text(text: object, name: str = "text") -> str:
    if not isinstance(text, str):
        raise TypeError(f"{name}: expected str, got {type(text).__name__}")
    return text


class Vocabulary:
    """
    A list of tokens, characters or words, and the ids 0 .. len-1 that stand for them.

    Parameters
    ----------
    tokens
        Distinct strings; the id of a token is its position. Characters: of length 1. Words: `<unk>` and
        `<eos>` must be among them.
    unit
        ``"character"`` or ``"word"``. Words are what whitespace separates; each line end is the word `<eos>`.

    Raises
    ------
    ValueError
        `tokens` is empty or repeats itself, a character is not one character, a special word is missing.
    """

    def __init__(self, tokens: Iterable[str], unit: Unit = "character") -> None:
        self.tokens: tuple[str, ...] = tuple(tokens)
        self.unit: Unit = unit
        if unit not in ("character", "word"):
            raise ValueError(f"unit: expected 'character' or 'word', got {unit!r}")
        for token in self.tokens:
            if not isinstance(token, str):
                raise TypeError(f"tokens: expected str, got {type(token).__name__}")
            if unit == "character" and len(token) != 1:
                raise ValueError(f"tokens: expected single characters, got {token!r}")
        self._id = {token: i for i, token in enumerate(self.tokens)}
        if not self.tokens or len(self._id) != len(self.tokens):
            raise ValueError(
                f"tokens: expected distinct tokens, got {len(self.tokens)}, {len(self._id)} distinct"
            )
        if unit == "word":
            for special in (UNKNOWN, END_OF_LINE):
                if special not in self._id:
                    raise ValueError(f"tokens: expected {special!r} among the words")
        else:
            codes = np.array([ord(token) for token in self.tokens])
            self._table = np.full(
                int(codes.max()) + 2, -1, np.int32
            )  # the last entry stands for all codes above
            self._table[codes] = np.arange(len(codes))

    @classmethod
    def from_text(cls, text: str, unit: Unit = "character", max_size: int | None = None) -> Vocabulary:
        """
        Collect the characters of `text` in code order, or its words by falling frequency, then
        alphabetically.

        `max_size` (words only) keeps the most frequent ones; the others are read as `<unk>`.
        """
        if not _check_text(text):
            raise ValueError("text: expected some text, got an empty string")
        if unit == "character":
            if max_size is not None:
                raise ValueError("max_size: expected None for characters, all of which are kept")
            return cls(sorted(set(text)), unit)
        if max_size is not None and _check.integer("max_size", max_size) < 2:
            raise ValueError(f"max_size: expected at least 2, got {max_size}")
        return cls._of(Counter(_words(text)), 1, max_size)

    @classmethod
    def from_sentences(
        cls, sentences: Iterable[Iterable[str]], min_count: int = 1, max_size: int | None = None
    ) -> Vocabulary:
        """
        Collect the words of lists of words that occur at least `min_count` times, by falling frequency.

        `max_size` keeps the most frequent ones; all others are read as `<unk>`.
        """
        counts = Counter(word for sentence in _lists(sentences) for word in sentence)
        return cls._of(counts, _check.integer("min_count", min_count, 1), max_size)

    @classmethod
    def from_vectors(cls, vectors: Any) -> Vocabulary:
        """Take the words of a `KeyedVectors`, in their order: its vectors can be loaded into a model."""
        special = (UNKNOWN, END_OF_LINE)
        words = _check.keyed("vectors", vectors).index_to_key
        return cls([*special, *(word for word in words if word not in special)], "word")

    @classmethod
    def _of(cls, counts: Counter[str], min_count: int, max_size: int | None) -> Vocabulary:
        for special in (UNKNOWN, END_OF_LINE):
            counts.pop(special, None)
        words = sorted(
            (w for w, n in counts.items() if n >= min_count), key=lambda word: (-counts[word], word)
        )
        return cls([UNKNOWN, END_OF_LINE, *words[: None if max_size is None else max_size - 2]], "word")

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and (self.tokens, self.unit) == (other.tokens, other.unit)

    def __hash__(self) -> int:
        return hash((self.tokens, self.unit))

    def __repr__(self) -> str:
        return f"<Vocabulary of {len(self)} {self.unit}s>"

    def id(self, token: str) -> int:
        """Return the id of one token; an unknown word has that of `<unk>`, an unknown character raises."""
        if self.unit == "word":
            return self._id.get(token, self._id[UNKNOWN])
        return self._id[token]

    def encode(self, text: Any) -> Ids:
        """
        Return the ids of `text`, int32 of shape [N].

        Parameters
        ----------
        text
            A string; or its tokens, one by one: a list, an array, a column of pandas or of Arrow, an
            iterator. Integers are ids already.

        Raises
        ------
        ValueError
            A character is not in the vocabulary, or an id out of range; the message says which and where.
        TypeError
            It is no string, nor what has strings or integers.
        """
        if not isinstance(text, str):
            return self._ids_of(text)
        if self.unit == "word":
            get, unknown = self._id.get, self._id[UNKNOWN]
            return np.fromiter((get(word, unknown) for word in _words(text)), np.int32)
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        ids: Ids = self._table[np.minimum(codes, len(self._table) - 1)]
        if ids.size and ids.min() < 0:
            at = int(np.argmin(ids))
            raise ValueError(
                f"text: expected one of the vocabulary's {len(self)} characters, got {text[at]!r} at {at}"
            )
        return ids

    def _ids_of(self, tokens: Any) -> Ids:
        """Ids of tokens that are apart already."""
        if isinstance(tokens, bytes) or not hasattr(tokens, "__iter__"):
            raise TypeError(f"text: expected str, or tokens or ids, got {_check.describe(tokens)}")
        tokens = _check.items(tokens)
        whole = isinstance(tokens, np.ndarray) and tokens.dtype != object
        numbers = np.asarray(tokens if whole else list(tokens))
        if numbers.dtype.kind in "iu" and numbers.ndim == 1:
            wrong = np.flatnonzero((numbers < 0) | (numbers >= len(self)))
            if wrong.size:
                raise ValueError(
                    f"text: expected ids in [0, {len(self)}), got {numbers[wrong[0]]} at {wrong[0]}"
                )
            return numbers.astype(np.int32)
        ids = []
        for at, token in enumerate(tokens):
            if not isinstance(token, str):
                raise TypeError(f"text: expected tokens that are str, got {_check.describe(token)} at {at}")
            number = self._id.get(token, self._id.get(UNKNOWN) if self.unit == "word" else None)
            if number is None:
                raise ValueError(
                    f"text: expected one of the vocabulary's {len(self)} characters, got {token!r} at {at}"
                )
            ids.append(number)
        return np.array(ids, np.int32)

    def decode(self, ids: Iterable[int] | npt.NDArray[np.integer[Any]]) -> str:
        r"""Return the text of `ids`: characters in a row, words with blanks between, `<eos>` as ``\n``."""
        tokens = [self._token(i) for i in ids]
        if self.unit == "character":
            return "".join(tokens)
        lines: list[list[str]] = [[]]
        for token in tokens:
            if token == END_OF_LINE:
                lines.append([])
            else:
                lines[-1].append(token)
        return "\n".join(" ".join(line) for line in lines)

    def _token(self, i: Any) -> str:
        number = _check.integer("ids", i)
        if not 0 <= number < len(self):
            raise ValueError(f"ids: expected integers in [0, {len(self)}), got {number}")
        return self.tokens[number]

    def begin(self) -> int:
        """Return the id of what stands before a text: the end of a line, or 0 where none is known."""
        token = END_OF_LINE if self.unit == "word" else "\n"
        return self.id(token) if token in self else 0

    def likeliest(self, p: npt.NDArray[np.float64], topn: int) -> list[tuple[str, float]]:
        """Return the `topn` tokens with the largest of the probabilities p, [V], the likeliest first."""
        best = np.argsort(-p, kind="stable")[: _check.integer("topn", topn, 1)]
        return [(self.tokens[k], float(p[k])) for k in best]

    def to_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds; `from_dict` reads it."""
        return {"unit": self.unit, "tokens": list(self.tokens)}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Vocabulary:
        """Build the vocabulary that `to_dict` described."""
        return cls(saved["tokens"], saved["unit"])


def _lists(sentences: Iterable[Iterable[str]]) -> Iterator[Iterable[str]]:
    """Sentences that are no strings, which would be read letter by letter."""
    for place, sentence in enumerate(sentences):
        if isinstance(sentence, (str, bytes)):
            raise TypeError(f"sentences[{place}]: expected a list of words, got {_check.describe(sentence)}")
        yield sentence


def _words(text: str) -> list[str]:
    return text.replace("\n", f" {END_OF_LINE} ").split()
