"""Scores of chunks: hand-made cases, with what conlleval says of them."""

from __future__ import annotations

import pytest
from errors import Case, check

from fastrnn import metrics
from fastrnn.metrics import Chunk, accuracy, chunk_f1, chunks, has_chunks

READINGS = {
    "": [],
    "O O": [],
    "B-a": [Chunk("a", 0, 1)],
    "B-a I-a O B-b": [Chunk("a", 0, 2), Chunk("b", 3, 4)],
    "B-a B-a": [Chunk("a", 0, 1), Chunk("a", 1, 2)],
    "B-a I-b": [Chunk("a", 0, 1), Chunk("b", 1, 2)],
    "I-a I-a": [Chunk("a", 0, 2)],
    "O I-a I-b I-b": [Chunk("a", 1, 2), Chunk("b", 2, 4)],
    "B-a O I-a": [Chunk("a", 0, 1), Chunk("a", 2, 3)],
    "B-a-b I-a-b": [Chunk("a-b", 0, 2)],
}


@pytest.mark.parametrize(("tags", "want"), READINGS.items(), ids=READINGS)
def test_chunks(tags: str, want: list[Chunk]) -> None:
    assert chunks(tags.split()) == want


def test_f1() -> None:
    gold = [["B-a", "I-a", "O", "B-b"], ["O", "B-a"]]
    guess = [["B-a", "O", "O", "B-b"], ["B-c", "B-a"]]
    found = chunk_f1(gold, guess)
    assert (found.wanted, found.predicted, found.right) == (3, 4, 2)
    assert found.precision == 2 / 4
    assert found.recall == 2 / 3
    assert found.f1 == pytest.approx(4 / 7, rel=1e-15)
    assert chunk_f1(gold, gold).f1 == 1
    assert chunk_f1([["O"]], [["O"]]) == (0, 0, 0, 0, 0, 0)


def test_what_looks_like_chunks() -> None:
    assert has_chunks(["O", "B-a", "I-a"])
    assert not has_chunks(["O", "I-a"])
    assert not has_chunks(["NOUN", "B-a"])
    assert not has_chunks([])


ERRORS: dict[str, Case] = {
    "sequences": (
        lambda: chunk_f1([["O"]], []),
        ValueError,
        "predicted: expected 1 sequences, as wanted, got 0",
    ),
    "tags": (
        lambda: chunk_f1([["O"], ["O"]], [["O"], []]),
        ValueError,
        "predicted[1]: expected 1 tags, as wanted, got 0",
    ),
    "items": (lambda: accuracy("ab", "a"), ValueError, "predicted: expected 2 items, as wanted, got 1"),
    "nothing": (lambda: accuracy("", ""), ValueError, "predicted: expected 1 items, as wanted, got 0"),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)


def test_a_wrong_rule_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: reading every I as a chunk of its own changes the counts."""
    monkeypatch.setattr(metrics, "chunks", lambda tags: [Chunk(t, k, k + 1) for k, t in enumerate(tags)])
    with pytest.raises(AssertionError):
        test_f1()
