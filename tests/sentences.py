"""Sentences whose tags and labels need more than the word itself."""

from __future__ import annotations

import numpy as np

CITIES = ["boston", "denver", "dallas", "new york"]
FILLERS = ["please", "show", "me", "flights", "now"]

Tagged = tuple[list[list[str]], list[list[str]]]


def journeys(count: int, seed: int = 0) -> Tagged:
    """Sentences with ``from CITY`` and ``to CITY`` in any order: the word before a city decides its tag."""
    draw, x, y = np.random.default_rng(seed), [], []
    for _ in range(count):
        words = list(draw.choice(FILLERS, draw.integers(0, 4)))
        tags = ["O"] * len(words)
        for way in draw.permutation(["from", "to"]):
            city = str(draw.choice(CITIES)).split()
            words += [str(way), *city]
            tags += ["O", f"B-{way}", *[f"I-{way}"] * (len(city) - 1)]
        x.append([str(word) for word in words])
        y.append([str(tag) for tag in tags])
    return x, y


def opinions(count: int, seed: int = 0) -> tuple[list[list[str]], list[str]]:
    """Equal words in another order: "good , not bad" is good, "bad , not good" is bad."""
    draw, x, y = np.random.default_rng(seed), [], []
    for _ in range(count):
        good = bool(draw.integers(2))
        words = ["good", ",", "not", "bad"] if good else ["bad", ",", "not", "good"]
        x.append([*(str(w) for w in draw.choice(FILLERS, draw.integers(0, 4))), *words])
        y.append("good" if good else "bad")
    return x, y
