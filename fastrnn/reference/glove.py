"""GloVe. Mirror of ``csrc/kernels/glove.h`` and ``csrc/base/cooccurrence.cc``, on one thread."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ._types import Array, Tokens

MOST_GRADIENT = 100.0


def cooccurrences(sentences: list[Tokens], window: int) -> dict[tuple[int, int], float]:
    """Sum 1/d over pairs of words that are d <= `window` apart; words below 0 are not there.

    Returns the entries (i, j) with j <= i of the symmetric matrix.
    """
    found: dict[tuple[int, int], float] = defaultdict(float)
    for sentence in sentences:
        words = [int(w) for w in sentence if w >= 0]
        for i, word in enumerate(words):
            for j, other in enumerate(words):
                if i != j and abs(i - j) <= window and other <= word:
                    found[word, other] += 1 / abs(i - j)
    return dict(found)


def weight(count: Array | float, most: float, power: float) -> Array:
    """``min(1, (count / most) ** power)``."""
    return np.minimum(1, (np.asarray(count) / most) ** power)


def loss(w: Array, c: Array, b: Array, a: Array, count: float, most: float, power: float) -> Array:
    """Of one entry: weight times half the squared error."""
    return np.asarray(weight(count, most, power) * (w @ c + b + a - np.log(count)) ** 2 / 2)


@dataclass
class Tables:
    """What is trained: vectors [V, d], biases [V], and the sums of squares of their gradients."""

    words: Array
    contexts: Array
    word_squares: Array
    context_squares: Array
    word_biases: Array  # [V, 2]: bias, squares
    context_biases: Array  # [V, 2]


def descend(value: Array, squares: Array, gradient: Array) -> None:
    """One step of AdaGrad in place; the rate is in the gradient, as in glove.c."""
    gradient = np.clip(gradient, -MOST_GRADIENT, MOST_GRADIENT)
    value -= gradient / np.sqrt(squares)
    squares += gradient * gradient


def step(t: Tables, i: int, j: int, count: float, rate: float, most: float, power: float) -> float:
    """Train on entry (i, j); return its loss."""
    w, c, b, a = t.words[i], t.contexts[j], t.word_biases[i], t.context_biases[j]
    error = w @ c + b[0] + a[0] - np.log(count)
    share = weight(count, most, power)
    scale = np.clip(rate * share * error, -MOST_GRADIENT, MOST_GRADIENT)
    to_w, to_c = scale * c, scale * w
    descend(w, t.word_squares[i], to_w)
    descend(c, t.context_squares[j], to_c)
    descend(b[:1], b[1:], scale)
    descend(a[:1], a[1:], scale)
    return float(share * error * error / 2)


def train(
    t: Tables,
    entries: list[tuple[int, int, float]],
    start: int,
    stride: int,
    rate: float,
    most: float,
    power: float,
) -> float:
    """One pass over entry ``(start + i * stride) % N`` for i = 0 .. N; return the loss."""
    total = 0.0
    for i in range(len(entries)):
        row, column, count = entries[(start + i * stride) % len(entries)]
        total += step(t, row, column, count, rate, most, power)
        if row != column:
            total += step(t, column, row, count, rate, most, power)
    return total
