"""Forecasts of the next 24 hours on ETTh1, beside persistence, the day before and ridge regression.

Data: the file `timeseries/ETTh1.csv` of FASTRNN_DATA, 17,420 hours of seven variables. Rows 0-8640 train, to
11520 validate, to 14400 test; errors are of values scaled by the means and deviations of the training part.

    python examples/forecast.py                # the oil temperature alone
    python examples/forecast.py --all          # all seven variables
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from statistics import mean

import numpy as np

import fastrnn
from fastrnn.baselines import RidgeForecaster, persistence, seasonal_naive

TRAIN, DEV, TEST = 8640, 11520, 14400


def main() -> None:
    """Train, choose, test."""
    parser = argparse.ArgumentParser(description="forecasts on ETTh1")
    parser.add_argument("--all", action="store_true", help="forecast all seven variables")
    parser.add_argument("--window", type=int, default=96)
    parser.add_argument("--horizon", type=int, default=24)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--cell", default="LSTM")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.threads:
        fastrnn.set_num_threads(arguments.threads)
    path = Path(os.environ.get("FASTRNN_DATA", ".")) / "timeseries" / "ETTh1.csv"
    names = path.read_text().splitlines()[0].split(",")[1:]
    table = np.genfromtxt(path, delimiter=",", skip_header=1, usecols=range(1, 8), max_rows=TEST)
    if not arguments.all:
        names, table = ["OT"], table[:, [names.index("OT")]]
    window, scores = arguments.window, []
    train, dev, test = table[:TRAIN], table[TRAIN - window : DEV], table[DEV - window :]
    for seed in range(arguments.seeds):
        model = fastrnn.Forecaster(
            names,
            window,
            arguments.horizon,
            hidden_size=arguments.hidden,
            cell=arguments.cell,
            dropout=0.3,
            seed=seed,
        )
        options = {"epochs": arguments.epochs, "lr": 2e-3, "seed": seed}
        model.fit(train, validation_data=dev, progress=False, **options)
        scores.append(model.evaluate(test).mse)
        inside = []
        for start in range(0, len(test) - window - arguments.horizon + 1, 7):
            low, high = model.predict_interval(test[start : start + window], 0.9)
            future = test[start + window :][: arguments.horizon]
            inside.append((low <= future) & (future <= high))
        print(
            f"seed {seed}: MSE {scores[-1]:.4f}, {100 * np.mean(inside):.1f} % within the 90 % interval",
            flush=True,
        )
    tried = [RidgeForecaster(alpha).fit(train, model) for alpha in (1.0, 10.0, 100.0, 1000.0, 10000.0)]
    ridge = min(tried, key=lambda found: found.score(dev)).score(test)
    for name, score in (
        ("persistence", persistence(test, model)),
        ("the day before", seasonal_naive(test, model, 24)),
        ("ridge regression", ridge),
        (f"{arguments.cell} and linear part", mean(scores)),
    ):
        print(f"{name:24s} MSE {score:.4f}")


if __name__ == "__main__":
    main()
