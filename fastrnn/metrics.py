"""Scores of tag sequences, by the rules of the CoNLL shared tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fastrnn import _check


class Chunk(NamedTuple):
    """Tokens [begin, end) of one kind."""

    kind: str
    begin: int
    end: int


class F1(NamedTuple):
    """Shares in [0, 1], and how many chunks there are, were predicted, and are right."""

    precision: float
    recall: float
    f1: float
    wanted: int
    predicted: int
    right: int


def chunks(tags: Sequence[str]) -> list[Chunk]:
    """
    Return the chunks of one sequence of tags ``B-kind``, ``I-kind`` and ``O``, as conlleval reads them.

    A chunk begins at a B, and at an I that does not go on with a chunk of its kind: what is wrongly written
    is read, not refused. (Tjong Kim Sang, Buchholz: Introduction to the CoNLL-2000 shared task.)
    """
    found: list[Chunk] = []
    kind, begin = "", -1
    for place, tag in enumerate([*tags, "O"]):
        letter, _, name = tag.partition("-")
        goes_on = letter == "I" and begin >= 0 and name == kind
        if begin >= 0 and not goes_on:
            found.append(Chunk(kind, begin, place))
            begin = -1
        if letter in ("B", "I") and begin < 0:
            kind, begin = name, place
    return found


def chunk_f1(wanted: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]]) -> F1:
    """
    Return precision, recall and F1 of whole chunks, over all sequences.

    A chunk is right when its kind, its begin and its end are. Without chunks, a share is 0.

    Raises
    ------
    ValueError
        The numbers of sequences differ, or the lengths of two that belong together.
    """
    counts = [0, 0, 0]
    gold, guess = list(wanted), list(predicted)
    if len(gold) != len(guess):
        raise ValueError(f"predicted: expected {len(gold)} sequences, as wanted, got {len(guess)}")
    for place, (ours, theirs) in enumerate(zip(gold, guess, strict=True)):
        if len(ours) != len(theirs):
            raise ValueError(f"predicted[{place}]: expected {len(ours)} tags, as wanted, got {len(theirs)}")
        a, b = set(chunks(ours)), set(chunks(theirs))
        for k, size in enumerate((len(a), len(b), len(a & b))):
            counts[k] += size
    n, m, right = counts
    precision, recall = right / m if m else 0.0, right / n if n else 0.0
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return F1(precision, recall, f1, n, m, right)


def accuracy(wanted: Iterable[object], predicted: Iterable[object]) -> float:
    """Return the share of equal items; raises ValueError where there are none, or not as many of each."""
    gold, guess = list(wanted), list(predicted)
    if len(gold) != len(guess) or not gold:
        raise ValueError(f"predicted: expected {max(len(gold), 1)} items, as wanted, got {len(guess)}")
    return sum(a == b for a, b in zip(gold, guess, strict=True)) / len(gold)


def has_chunks(tags: Iterable[str]) -> bool:
    """Whether tags look like those of chunks: an O or ``B-kind`` or ``I-kind`` each, and some B."""
    names = list(tags)
    if any(_check.describe(name) != repr(name) for name in names):
        return False
    letters = {name.partition("-")[0] if "-" in name else name for name in names}
    return letters <= {"B", "I", "O"} and "B" in letters
