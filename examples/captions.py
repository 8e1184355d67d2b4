"""Pictures of two to four handwritten digits in the corners of a square, told in a sentence.

The digits are those of scikit-learn (``pip install scikit-learn``), 8 x 8 pixels each, on 16 x 16. Which
digits stand in which corners is a combination; those that are tested were never trained. They are drawn
twice: with digits as they were in training, and with pictures of digits that were never seen.

    python examples/captions.py
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import fastrnn

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
CORNERS = ("top left", "top right", "bottom left", "bottom right")
Combination = tuple[tuple[int, int], ...]  # (corner, digit), two to four of them


def sentence(combination: Combination) -> list[str]:
    """What is to be said of it."""
    return " , ".join(f"a {NAMES[digit]} at the {CORNERS[corner]}" for corner, digit in combination).split()


def combinations(count: int, draw: np.random.Generator) -> list[Combination]:
    """Distinct ones."""
    found: dict[Combination, None] = {}
    while len(found) < count:
        corners = sorted(draw.permutation(4)[: draw.integers(2, 5)])
        found[tuple((int(corner), int(draw.integers(10))) for corner in corners)] = None
    return list(found)


def pictures(made: list[Combination], digits: list[Any], draw: np.random.Generator) -> Any:
    """[N, 4, 64], a corner after the other; digits[d] are the pictures of d to choose from."""
    found = np.zeros((len(made), 4, 64), np.float32)
    for row, combination in enumerate(made):
        for corner, digit in combination:
            found[row, corner] = digits[digit][draw.integers(len(digits[digit]))]
    return found


def main() -> None:
    """Train, and test on combinations that were held out."""
    parser = argparse.ArgumentParser(description="captions of digits")
    parser.add_argument("--train", type=int, default=10000)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--cell", default="GRU")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.threads:
        fastrnn.set_num_threads(arguments.threads)
    data, draw = load_digits(), np.random.default_rng(0)
    images, order = (data.data / 16).astype(np.float32), draw.permutation(len(data.data))
    known, new = (
        [images[part[data.target[part] == digit]] for digit in range(10)]
        for part in (order[:1400], order[1400:])
    )
    size = arguments.test
    made = combinations(arguments.train + 2 * size, draw)
    dev, test, train = made[:size], made[size : 2 * size], made[2 * size :]
    x, y = pictures(train, known, draw), [sentence(one) for one in train]
    held_out = pictures(dev, known, draw), [sentence(one) for one in dev]
    tests = {"digits that were trained": known, "digits that were not": new}
    wanted = [sentence(one) for one in test]
    print(f"{len(train)} pictures to learn from, {size} to choose by, {size} combinations to test")
    for seed in range(arguments.seeds):
        width = arguments.hidden
        encoder = fastrnn.Sequential(
            fastrnn.Linear(64, width, seed=10 * seed + 1),
            fastrnn.Activation("relu"),
            fastrnn.Dropout(arguments.dropout),
            fastrnn.GRU(width, width, batch_first=True, seed=10 * seed + 2),
            fastrnn.Pool("last"),
        )
        model = fastrnn.Captioner(
            encoder,
            width,
            y,
            width,
            embedding_size=32,
            cell=arguments.cell,
            dropout=arguments.dropout,
            seed=seed,
        )
        options: dict[str, Any] = {"epochs": arguments.epochs, "lr": 4e-3, "seed": seed, "progress": False}
        model.fit(x, y, validation_data=held_out, **options)
        for name, digits in tests.items():
            shown = pictures(test, digits, np.random.default_rng(1))
            exact = 100 * model.evaluate(shown, wanted).exact
            print(f"seed {seed}: {exact:.1f} % exactly right, {name}", flush=True)
    shown = pictures(test[:1], known, np.random.default_rng(1))
    for found in model.caption(shown, beam=3)[0]:
        print(f"log-probability {found.log_probability:7.3f}: {' '.join(found.tokens)}")


if __name__ == "__main__":
    main()
