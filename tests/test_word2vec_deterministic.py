"""``deterministic=True``: the same bits for any number of threads, and nothing diverges for it."""

from __future__ import annotations

import checks
import numpy as np
import pytest
from word2vec import VARIANTS, model, topics

from fastrnn import Word2Vec, _core


@pytest.fixture(scope="module")
def sentences() -> list[list[str]]:
    """A corpus with something to learn, and with so many words that blocks have four pieces."""
    rare = [f"w{i}" for i in range(1100)]
    return [
        *topics(np.random.default_rng(1), 300),
        *([*rare[i : i + 20], "a1"] * 5 for i in range(0, 1100, 20)),
    ]


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("variant", VARIANTS)
def test_deterministic(sentences: list[list[str]], variant: str) -> None:
    runs = []
    for threads in (1, 2, 7):
        _core.set_num_threads(threads)
        trained = model(
            sentences, deterministic=True, workers=threads, compute_loss=True, epochs=2, **VARIANTS[variant]
        )
        runs.append({"vectors": trained.wv.vectors, "loss": np.array(trained.epoch_losses)})
    for run in runs[1:]:
        checks.runs_same_bits(run, runs[0])


def test_loss_does_not_depend_on_workers(sentences: list[list[str]]) -> None:
    # Without concurrent updates the losses are of equal vectors: then not a bit may differ.
    one, two = (
        model(sentences, workers=n, compute_loss=True, sg=1, deterministic=True).epoch_losses for n in (1, 2)
    )
    assert one == two
    assert one[-1] < one[0]


def bursts(rng: np.random.Generator, words: int, length: int, count: int) -> list[np.ndarray]:
    """Two words by turns, `length` of them, then two others; and every word five times in a row."""
    pairs = rng.integers(0, words, (count, 2))
    return [*(np.resize(pair, length) for pair in pairs), np.repeat(np.arange(words), 5)]


@pytest.mark.parametrize("length", [20, 100, 3000])
@pytest.mark.parametrize("variant", ["skip-gram", "cbow", "skip-gram hs"])
def test_bursts_do_not_diverge(rng: np.random.Generator, variant: str, length: int) -> None:
    """At the default rate vectors stay as short as when every step sees the last."""
    corpus = bursts(rng, 1100, length, 60_000 // length)
    longest = []
    for deterministic in (False, True):
        trained = Word2Vec(
            corpus,
            vector_size=20,
            min_count=1,
            sample=0,
            workers=1,
            epochs=2,
            deterministic=deterministic,
            **VARIANTS[variant],
        )
        longest.append(np.linalg.norm(trained.wv.vectors, axis=1).max())
    assert longest[1] < 1.5 * longest[0]
