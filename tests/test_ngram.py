"""The n-gram baseline: it is a distribution, it is the published formula, and it knows what it should."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from tolerances import TABLE

from fastrnn.ngram import NgramModel

EPS = TABLE["identity"].eps * np.finfo(np.float64).eps


def draw(seed: int, n: int, vocabulary: int) -> np.ndarray:
    """Ids with some order in them: a random walk on a ring."""
    steps = np.random.default_rng(seed).choice([0, 1, 1, 1, 2], n)
    return np.cumsum(steps) % vocabulary


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_probabilities_sum_to_one(order):
    model = NgramModel(draw(0, 400, 4), 5, order)  # token 4 is never seen
    for context in ([], [0], [1, 2, 3], [4, 4, 0, 1, 1], list(draw(1, 9, 4))):
        total = sum(model.probabilities(np.array([*context, token]))[-1] for token in range(5))
        assert total == pytest.approx(1, rel=EPS)


def plain(ids: list[int], vocabulary: int, order: int, context: tuple[int, ...], token: int) -> float:
    """Interpolated Kneser-Ney by the book, with dicts and recursion."""

    def grams(n: int) -> Counter:
        return Counter(tuple(ids[i : i + n]) for i in range(len(ids) - n + 1))

    n = len(context) + 1
    counts = grams(n) if n == order else Counter(gram[1:] for gram in grams(n + 1))
    r = Counter(counts.values())
    d = [0.0, 0.5, 0.5, 0.5]
    if r[1] and r[2] and r[3]:
        y = r[1] / (r[1] + 2 * r[2])
        found = [0.0] + [k - (k + 1) * y * r[k + 1] / r[k] for k in (1, 2, 3)]
        if all(0 < found[k] < k for k in (1, 2, 3)):
            d = found
    below = plain(ids, vocabulary, order, context[1:], token) if context else 1 / vocabulary
    followers = {gram: c for gram, c in counts.items() if gram[:-1] == context}
    if not followers:
        return below
    mass = sum(d[min(c, 3)] for c in followers.values())
    c = counts[(*context, token)]
    return (c - d[min(c, 3)] + mass * below) / sum(followers.values())


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_it_is_the_formula(order):
    ids, probe = draw(2, 300, 6), draw(3, 60, 7)
    got = NgramModel(ids, 7, order).probabilities(probe)
    for i in range(order - 1, len(probe)):
        context = tuple(probe[i - order + 1 : i].tolist())
        assert got[i] == pytest.approx(plain(ids.tolist(), 7, order, context, int(probe[i])), rel=EPS)


def test_an_order_more_is_another_formula():
    ids, probe = draw(2, 300, 6), draw(3, 60, 6)
    assert NgramModel(ids, 6, 2).loss(probe, 5) != pytest.approx(
        NgramModel(ids, 6, 3).loss(probe, 5), rel=EPS
    )


def test_a_fixed_cycle_is_learnt_and_noise_is_not():
    cycle = np.arange(3000) % 7
    assert NgramModel(cycle, 7).loss(cycle[:700], 6) < 0.01 < np.log(7)
    noise = np.random.default_rng(0).integers(0, 7, 30_000)
    assert NgramModel(noise[:-3000], 7, 3).loss(noise[-3000:]) == pytest.approx(np.log(7), abs=0.02)


def test_large_vocabulary_does_not_overflow():
    ids = np.random.default_rng(0).integers(0, 10**6, 3000)
    model = NgramModel(np.concatenate([ids, ids]), 10**6, 6)
    assert model.loss(ids, 6) < 1


def test_python_documentation_is_predicted_well():
    topics = pytest.importorskip("pydoc_data.topics").topics
    codes = np.frombuffer("\n".join(topics.values()).encode("utf-32-le"), np.uint32)
    tokens, ids = np.unique(codes, return_inverse=True)
    cut = len(ids) - len(ids) // 10
    losses = [NgramModel(ids[:cut], len(tokens), n).loss(ids[cut - 5 :], 5) for n in (2, 4, 6)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 1.5


@pytest.mark.parametrize(
    ("ids", "order", "message"),
    [
        (np.zeros((3, 3), int), 2, r"ids: expected at least order = 2 >= 1 ids, got shape \(3, 3\)"),
        (np.zeros(3, int), 6, r"got shape \(3,\)"),
        (np.zeros(3, int), 0, "order = 0"),
        (np.array([0, 1, 5]), 2, r"ids: expected 0 \.\. 4, got 0 \.\. 5"),
        (np.array([0, -1, 3]), 2, r"got -1 \.\. 3"),
    ],
)
def test_bad_arguments(ids, order, message):
    with pytest.raises(ValueError, match=message):
        NgramModel(ids, 5, order)
