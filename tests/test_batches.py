"""Padded batches: every sequence once an epoch, in an order that seed and epoch decide alone."""

from __future__ import annotations

import numpy as np
import pytest
from errors import Case, check
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn.batches import BUCKET, PaddedBatches, Sequences
from fastrnn.data import IGNORED


def sequences(lengths: list[int], first: int = 1) -> Sequences:
    """Sequence k is first + k, repeated."""
    return Sequences("x", [np.full(n, first + k, np.int32) for k, n in enumerate(lengths)])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(1, 7), st.sampled_from([None, 0, 5]))
@settings(max_examples=60, deadline=None)
def test_every_sequence_comes_once(lengths: list[int], batch: int, seed: int | None) -> None:
    x, tags = sequences(lengths), sequences(lengths, 100)
    for data in (
        PaddedBatches(x, tags, batch, seed=seed),
        PaddedBatches(x, np.arange(len(lengths), dtype=np.int32), batch, seed=seed),
    ):
        for epoch in range(2):
            data.set_epoch(epoch)
            seen = []
            for k in range(len(data)):
                rows, targets = data[k]
                assert rows.tokens.shape == (rows.lengths.max(), len(rows.lengths))
                for b, length in enumerate(rows.lengths):
                    number = int(rows.tokens[0, b]) - 1
                    seen.append(number)
                    assert length == lengths[number]
                    assert (rows.tokens[:length, b] == number + 1).all()
                    assert not rows.tokens[length:, b].any()
                    if targets.ndim == 2:
                        assert (targets[:length, b] == number + 100).all()
                        assert (targets[length:, b] == IGNORED).all()
                    else:
                        assert targets[b] == number
                assert list(data.rows(k)) == seen[-len(rows.lengths) :]
            assert sorted(seen) == list(range(len(lengths)))
    assert data.tokens == sum(lengths)


def test_seed_and_epoch_decide_the_order() -> None:
    x = sequences([1, 2, 3, 4, 5] * 20)

    def orders(seed: int | None, *epochs: int) -> list[list[int]]:
        data = PaddedBatches(x, x, 4, seed=seed)
        found = []
        for epoch in epochs:
            data.set_epoch(epoch)
            found.append([int(n) for k in range(len(data)) for n in data.rows(k)])
        return found

    assert orders(0, 3, 1, 3)[0] == orders(0, 3)[0]
    assert orders(0, 0) != orders(0, 1)
    assert orders(0, 0) != orders(1, 0)
    assert orders(None, 0) == orders(None, 7)


def test_batches_have_alike_lengths() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 4 * BUCKET)
    data = PaddedBatches(sequences(list(lengths)), sequences(list(lengths)), 4, seed=0)
    padded = sum(data[k][0].tokens.size for k in range(len(data)))
    assert padded < 1.05 * lengths.sum()


def test_rare_tokens_become_unknown() -> None:
    x = Sequences("x", [np.arange(1000, dtype=np.int32), np.zeros(1000, np.int32)])
    rare = np.arange(1000) % 2 == 1
    data = PaddedBatches(x, x, 2, seed=0, rare=rare, unknown=7, rate=0.5)

    def replaced(epoch: int) -> np.ndarray:
        data.set_epoch(epoch)
        rows, targets = data[0]
        column = int(np.argmax(targets[-1]))
        changed = rows.tokens[:, column] != np.arange(1000)
        assert (rows.tokens[changed, column] == 7).all()
        assert not (rows.tokens[:, 1 - column] != 0).any()
        assert not (changed & ~rare).any()
        return changed

    first = replaced(0)
    assert 200 < first.sum() < 300
    assert (replaced(1) != first).any()
    assert (replaced(0) == first).all()


def test_a_checkpoint_can_tell_data_apart() -> None:
    x, y = sequences([1, 2]), sequences([2, 1])
    other = Sequences("other", [np.array([7], np.int32), np.array([8, 9], np.int32)])
    prints = [
        PaddedBatches(a, b, n, seed=s, rate=r).fingerprint()
        for a, b, n, s, r in (
            (x, x, 2, 0, 0),
            (y, y, 2, 0, 0),
            (other, x, 2, 0, 0),
            (x, other, 2, 0, 0),
            (x, x, 1, 0, 0),
            (x, x, 2, 1, 0),
            (x, x, 2, 0, 0.5),
        )
    ]
    assert len({str(p) for p in prints}) == len(prints)


ERRORS: dict[str, Case] = {
    "none": (lambda: Sequences("x", []), ValueError, "x: expected at least one sequence, got none"),
    "empty": (
        lambda: Sequences("x", [np.ones(1, np.int32), np.ones(0, np.int32)]),
        ValueError,
        "x[1]: expected at least one token, got none",
    ),
    "batch": (
        lambda: PaddedBatches(sequences([1]), sequences([1]), 0),
        ValueError,
        "batch: expected an int >= 1, got 0",
    ),
    "number": (lambda: PaddedBatches(sequences([1]), sequences([1]), 1)[1], IndexError, "batch 1 of 1"),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)
