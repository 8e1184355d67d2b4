"""Published word tests on plain arrays, the same for us and for a rival: no code of either is asked.

Word pairs: Spearman's rank correlation of cosine and human score over the pairs whose words are both known.
Analogies: a - b + c over the most frequent 30,000 words, questions with an unknown word left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

PAIRS = {
    "WS-353": "EN-WS-353-ALL.txt",
    "SimLex": "EN-SIMLEX-999.txt",
    "MEN": "EN-MEN-TR-3k.txt",
    "RW": "EN-RW-STANFORD.txt",
}
MOST_FREQUENT = 30_000


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0, equal values sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts + 1) / 2)[inverse]


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation."""
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def pairs(path: Path, words: dict[str, int], vectors: np.ndarray) -> float:
    """Correlation on a file of lines ``word word score``."""
    cosine, human = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        a, b, score = line.lower().split()[:3]
        if a in words and b in words:
            cosine.append(vectors[words[a]] @ vectors[words[b]])
            human.append(float(score))
    return spearman(np.array(cosine), np.array(human))


def analogies(path: Path, words: dict[str, int], vectors: np.ndarray) -> float:
    """Share of right answers."""
    known = {word: i for word, i in words.items() if i < MOST_FREQUENT}
    lines = [line.lower().split() for line in path.read_text(encoding="utf-8").splitlines() if line[0] != ":"]
    asked = np.array([[known[w] for w in line] for line in lines if all(w in known for w in line)])
    vectors = vectors[:MOST_FREQUENT]
    right = 0
    for part in np.array_split(asked, max(1, len(asked) // 256)):
        a, b, c, answer = part.T
        scores = unit(vectors[b] - vectors[a] + vectors[c]) @ vectors.T
        for other in (a, b, c):
            scores[np.arange(len(part)), other] = -2
        right += int((scores.argmax(axis=1) == answer).sum())
    return right / len(asked)


def judge(data: Path, index_to_key: Sequence[str], vectors: np.ndarray) -> dict[str, float]:
    """All tests on vectors whose words are sorted by falling frequency."""
    words = {word: i for i, word in enumerate(index_to_key)}
    rows = unit(np.ascontiguousarray(vectors))
    found = {name: pairs(data / "wordsim" / file, words, rows) for name, file in PAIRS.items()}
    return {**found, "analogy": analogies(data / "analogy" / "questions-words.txt", words, rows)}
