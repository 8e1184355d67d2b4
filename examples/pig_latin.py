"""Pig Latin, letter by letter: what comes before the first vowel moves to the end, before "ay".

The words are those of the language reference that comes with CPython, and to learn from also new ones that
are made of their halves; those that are tested were never seen in training. Attention shows which letter
each output looks at.

    python examples/pig_latin.py
"""

from __future__ import annotations

import argparse
import pydoc_data.topics
import re
from statistics import mean

import numpy as np

import fastrnn


def pig_latin(word: str) -> str:
    """By the rule; "way" follows a word that begins with a vowel."""
    at = re.search("[aeiouy]", word[1:] if word[0] == "y" else word)
    if at is None:
        return word + "ay"
    begin = at.start() + (word[0] == "y")
    return word + "way" if begin == 0 else word[begin:] + word[:begin] + "ay"


def words() -> list[str]:
    """The distinct words of 3 to 12 letters, in an order that is always the same."""
    text = " ".join(pydoc_data.topics.topics.values()).lower()
    found = sorted({w for w in re.findall("[a-z]+", text) if 3 <= len(w) <= 12})
    return [found[k] for k in np.random.default_rng(0).permutation(len(found))]


def joined(known: list[str], count: int, refused: set[str]) -> list[str]:
    """New words of 3 to 12 letters: the begin of one that is known and the end of another."""
    draw, found = np.random.default_rng(1), dict[str, None]()
    while len(found) < count:
        first, second = (known[k] for k in draw.integers(0, len(known), 2))
        word = first[: draw.integers(1, len(first) + 1)] + second[draw.integers(0, len(second)) :]
        if 3 <= len(word) <= 12 and word not in refused:
            found[word] = None
    return list(found)


def main() -> None:
    """Train, and test on words that were held out."""
    parser = argparse.ArgumentParser(description="pig Latin")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--cell", default="GRU")
    parser.add_argument("--attention", default="general", help="dot, general, additive or none")
    parser.add_argument("--more", type=int, default=8000, help="words to make of halves of those of training")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.threads:
        fastrnn.set_num_threads(arguments.threads)
    real = words()
    size = len(real) // 10
    test, dev, known = real[:size], real[size : 2 * size], real[2 * size :]
    known += joined(known, arguments.more, set(real))
    train, dev, test = (
        ([list(word) for word in part], [list(pig_latin(word)) for word in part])
        for part in (known, dev, test)
    )
    print(f"{len(train[0])} words to learn from, {size} to choose by, {size} to test")
    scores = []
    for seed in range(arguments.seeds):
        model = fastrnn.Seq2Seq(
            [list("abcdefghijklmnopqrstuvwxyz")],
            [list("abcdefghijklmnopqrstuvwxyz")],
            arguments.hidden,
            embedding_size=32,
            cell=arguments.cell,
            attention=None if arguments.attention == "none" else arguments.attention,
            dropout=0.2,
            seed=seed,
        )
        options = {"epochs": arguments.epochs, "lr": 4e-3, "seed": seed}
        model.fit(*train, validation_data=dev, batch=32, progress=False, **options)
        scores.append(100 * model.evaluate(*test).exact)
        print(f"seed {seed}: {scores[-1]:.1f} % of the words exactly right", flush=True)
    print(f"attention {arguments.attention}: {mean(scores):.1f} % ({len(scores)} seeds)")
    (best,) = model.translate([list("string")], beam=3)
    for h in best:
        print(f"{''.join(h.tokens):12s} log-probability {h.log_probability:.3f}")
    if best[0].attention is not None:
        looked_at = ["string"[k] for k in best[0].attention.argmax(axis=1)]
        print("letter out:", *best[0].tokens, "\nlooked at: ", *looked_at)


if __name__ == "__main__":
    main()
