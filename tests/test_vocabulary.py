"""Vocabulary, subsampling, negatives, Huffman tree: against closed forms."""

from __future__ import annotations

import heapq
import itertools
import math

import numpy as np
import pytest

from fastrnn import _core, reference
from fastrnn.reference import word2vec_windows
from fastrnn.word2vec import vocabulary

TYPES = ["b", "a", "d", "c", "e"]
COUNTS = np.array([5, 9, 1, 5, 2])


def words(**options: object) -> list[str]:
    """The words that are chosen."""
    chosen = vocabulary.select(TYPES, COUNTS, **{"min_count": 1, **options})  # type: ignore[arg-type]
    return [TYPES[i] for i in chosen.chosen]


def test_select() -> None:
    assert words() == ["a", "b", "c", "e", "d"]
    assert words(sorted_vocab=False) == TYPES
    assert words(min_count=5) == ["a", "b", "c"]
    assert words(max_vocab_size=2) == ["a", "b"]
    assert words(max_final_vocab=4) == ["a", "b", "c", "e"]
    assert words(max_final_vocab=2) == ["a"]  # b and c go together, as in gensim
    assert words(max_final_vocab=9) == ["a", "b", "c", "e", "d"]
    assert words(min_count=3, trim_rule=lambda w, n, m: {"a": 1, "d": 2}.get(w, 0)) == ["b", "c", "d"]


def test_wrong_trim_rule() -> None:
    with pytest.raises(ValueError, match="trim_rule: expected it to return 0"):
        words(trim_rule=lambda w, n, m: "keep")


def chi_square(found: np.ndarray, expected: np.ndarray) -> float:
    """The statistic in standard deviations above its mean, of which 5 are not met by chance."""
    used = expected > 0
    assert not found[~used].any()
    freedom = used.sum() - 1
    statistic = ((found - expected)[used] ** 2 / expected[used]).sum()
    return float((statistic - freedom) / math.sqrt(2 * freedom))


def uniform_by(probability: np.ndarray, total: int) -> np.ndarray:
    """Expected counts."""
    return total * probability / probability.sum()


@pytest.mark.parametrize("exponent", [0.75, 1.0, 0.0, -0.5])
def test_negatives(rng: np.random.Generator, exponent: float) -> None:
    counts = np.sort(rng.zipf(1.5, 500).clip(1, 10**6))[::-1].astype(np.int64)
    table = vocabulary.alias_table(counts, exponent)
    drawn = word2vec_windows.negatives(table, np.uint64(99), 2_000_000)
    expected = uniform_by(counts**exponent, len(drawn))
    assert abs(chi_square(np.bincount(drawn, minlength=500), expected)) < 5
    wrong = uniform_by(counts ** (exponent + 0.05), len(drawn))
    assert chi_square(np.bincount(drawn, minlength=500), wrong) > 5


def test_alias_table_is_exact(rng: np.random.Generator) -> None:
    weights = rng.random(77) ** 4
    table = _core.alias_table(weights).astype(np.int64)
    share = table[:, 0] / 2**32
    found = share.copy()
    np.add.at(found, table[:, 1], 1 - share)
    np.testing.assert_allclose(found / 77, weights / weights.sum(), atol=2.0**-31)


@pytest.mark.parametrize("window", [1, 2, 5, 13])
def test_windows(window: int) -> None:
    streams = reference.rng.draw64(5, np.arange(1_000_000))
    found = np.bincount(word2vec_windows.reach(streams, window, True), minlength=window + 1)
    assert found[0] == 0
    if window > 1:
        assert abs(chi_square(found[1:], np.full(window, 1e6 / window))) < 5
        assert chi_square(found[1:], uniform_by(1 + 0.02 * np.arange(window), 1_000_000)) > 5
    assert (word2vec_windows.reach(streams[:9], window, False) == window).all()


@pytest.mark.parametrize("sample", [1e-3, 1e-2, 100, 0])
def test_subsampling(rng: np.random.Generator, sample: float) -> None:
    counts = np.array([200_000, 100_000, 50_000, 5_000, 500])
    total = int(counts.sum())
    threshold = sample * total if sample < 1 else int(sample * (3 + math.sqrt(5)) / 2)
    keep = [1.0 if not sample else min(1.0, (math.sqrt(n / threshold) + 1) * threshold / n) for n in counts]
    np.testing.assert_allclose(vocabulary.keep_probability(counts, sample, total), keep, rtol=1e-12)
    ids = rng.permutation(np.repeat(np.arange(5), counts)).astype(np.int32)
    thresholds = vocabulary.keep_thresholds(np.array(keep)).view(np.int32)
    types = np.stack([np.arange(5, dtype=np.int32), thresholds], axis=1)
    corpus = word2vec_windows.Corpus(ids, np.array([0, total]), types)
    kept, _ = word2vec_windows.kept(corpus, 1)
    found = np.bincount(ids[kept], minlength=5)
    spread = np.sqrt(counts * np.array(keep) * (1 - np.array(keep)))
    assert (np.abs(found - counts * keep) <= 5 * spread + 1e-3 * sum(keep)).all()


def test_smallest_sample() -> None:
    assert not vocabulary.keep_thresholds(vocabulary.keep_probability(np.array([2**62, 1]), 5e-324, 1)).any()


@pytest.mark.parametrize("size", [1, 2, 3, 50, 1000])
def test_huffman(rng: np.random.Generator, size: int) -> None:
    """As short as heapq's tree; a prefix code whose words are told apart by nodes and labels."""
    counts = rng.zipf(1.4, size).clip(1, 10**9).astype(np.int64)
    offsets, nodes, labels = _core.huffman_paths(counts)
    lengths = np.diff(offsets)
    heap, least = list(counts.tolist()), 0
    heapq.heapify(heap)
    while len(heap) > 1:
        joined = heapq.heappop(heap) + heapq.heappop(heap)
        least += joined
        heapq.heappush(heap, joined)
    assert (counts * lengths).sum() == least
    if size > 1:
        assert sum(2.0**-lengths) == 1
        paths = [tuple(labels[a:b]) for a, b in itertools.pairwise(offsets)]
        assert len(set(paths)) == size
        assert set(nodes.tolist()) == set(range(size - 1))
        assert (nodes[offsets[:-1]] == size - 2).all()  # the root is made last


def test_wrong_tables() -> None:
    with pytest.raises(ValueError, match="weights: expected finite numbers >= 0"):
        _core.alias_table(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="weights: expected a finite sum > 0"):
        _core.alias_table(np.zeros(3))
    with pytest.raises(ValueError, match="counts: expected at least one count"):
        _core.huffman_paths(np.zeros(0, np.int64))
