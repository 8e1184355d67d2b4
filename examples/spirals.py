"""Two spirals: what is linear fails, however deep it is; layers with ReLU between them do not.

python examples/spirals.py
"""

from __future__ import annotations

import argparse

import numpy as np

import fastrnn


def spirals(count: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Points of two arms that wind around each other one and a half times, with noise."""
    draw = np.random.default_rng(seed)
    arm, turn = draw.integers(0, 2, count), np.sqrt(draw.random(count)) * 3 * np.pi
    angle = turn + np.pi * arm
    x = np.stack([turn * np.cos(angle), turn * np.sin(angle)], axis=1) / 5
    return x + draw.normal(0, 0.02, x.shape), ["inner" if a else "outer" for a in arm]


def main() -> None:
    """Three networks on the same points."""
    parser = argparse.ArgumentParser(description="two spirals")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    train, dev, test = (spirals(count, seed) for count, seed in ((2000, 0), (500, 1), (2000, 2)))
    for what, hidden, activation in (
        ("softmax alone", (), "identity"),
        ("deep, without activations", (64, 64, 64), "identity"),
        ("deep, with ReLU", (64, 64, 64), "relu"),
    ):
        model = fastrnn.MLP(2, ["inner", "outer"], hidden=hidden, activation=activation, seed=arguments.seed)
        options = {"epochs": arguments.epochs, "lr": 5e-3, "seed": arguments.seed}
        model.fit(*train, validation_data=dev, progress=False, **options)
        print(f"{what:26s} {100 * model.evaluate(*test).accuracy:.1f} % right")


if __name__ == "__main__":
    main()
