"""Packages that others wrote, before and after ``fastrnn.torch.accelerate``: the same result, and the time.

Usage: python bench/real_packages.py [skorch|recurrent_ppo|neuralforecast] [--threads N] [--rounds N]

Needs ``pip install torch`` and skorch, sb3-contrib or neuralforecast beside fastrnn. Every round runs both
sides, in random order, from the same seeds; what they learned must agree. Prints the times, and the median
of their ratio by round. skorch: a NeuralNetClassifier over two layers of GRU with dropout, two epochs.
sb3-contrib: RecurrentPPO with an LSTM policy on CartPole with velocities hidden, 2048 steps of `learn`.
neuralforecast: its GRU and LSTM on 64 series with two seasons, 50 steps each.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import fastrnn.torch

Result = dict[str, np.ndarray]


class Classifier(torch.nn.Module):
    """Which of four frequencies a noisy sequence has: a GRU, and a linear layer on its last state."""

    def __init__(self, hidden: int = 128) -> None:
        super().__init__()
        self.recurrent = torch.nn.GRU(8, hidden, num_layers=2, dropout=0.1, batch_first=True)
        self.head = torch.nn.Linear(hidden, 4)

    def forward(self, x: Any) -> Any:
        """[B, T, 8] to logits [B, 4]."""
        return self.head(self.recurrent(x)[1][-1])


def skorch(swap: bool) -> tuple[float, Result]:
    """Seconds of two epochs, and the losses and predictions."""
    from skorch import NeuralNetClassifier

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 1024)
    waves = np.sin(np.arange(64)[None, :, None] * (1 + labels)[:, None, None] / 8 + rng.random((1024, 1, 8)))
    x = (waves + rng.standard_normal(waves.shape)).astype(np.float32)
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        Classifier,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=32,
        max_epochs=2,
        train_split=None,
        verbose=0,
    ).initialize()
    if swap:
        assert fastrnn.torch.accelerate(net.module_).swapped == {"recurrent": "GRU"}
    torch.manual_seed(1)
    start = time.perf_counter()
    net.partial_fit(x, labels)
    seconds = time.perf_counter() - start
    return seconds, {"losses": np.array(net.history[:, "train_loss"]), "chances": net.predict_proba(x[:64])}


def recurrent_ppo(swap: bool) -> tuple[float, Result]:
    """Seconds of 2048 steps in eight environments, and the parameters after them."""
    import gymnasium
    from sb3_contrib import RecurrentPPO
    from stable_baselines3.common.env_util import make_vec_env

    class Positions(gymnasium.ObservationWrapper):  # type: ignore[misc]
        """Without velocities, so that memory is needed."""

        def __init__(self, env: Any) -> None:
            super().__init__(env)
            space = env.observation_space
            self.observation_space = gymnasium.spaces.Box(space.low[::2], space.high[::2], dtype=np.float32)

        def observation(self, observation: Any) -> Any:
            """Position and angle."""
            return observation[::2]

    envs = make_vec_env("CartPole-v1", n_envs=8, seed=0, wrapper_class=Positions)
    options = {"n_steps": 128, "batch_size": 256, "n_epochs": 4, "seed": 0, "device": "cpu"}
    agent = RecurrentPPO("MlpLstmPolicy", envs, policy_kwargs={"lstm_hidden_size": 128}, **options)
    if swap:
        report = fastrnn.torch.accelerate(agent.policy)
        assert set(report.swapped.values()) == {"LSTM"}, report
        assert not report.left
    start = time.perf_counter()
    agent.learn(2048)
    seconds = time.perf_counter() - start
    found = {name: p.detach().numpy().copy() for name, p in agent.policy.named_parameters()}
    return seconds, found


def neuralforecast(swap: bool) -> tuple[float, Result]:
    """Seconds of 50 steps of each model, and the forecasts after them."""
    import logging

    import pandas
    from neuralforecast import NeuralForecast
    from neuralforecast.models import GRU, LSTM

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    rng = np.random.default_rng(0)
    t, series = np.arange(200), np.arange(64)[:, None]
    values = np.sin(t / 3 + series) + np.sin(t / 12 + 2 * series) / 2 + 0.1 * rng.standard_normal((64, 200))
    dates = pandas.date_range("2020-01-01", periods=200)
    frame = pandas.DataFrame(
        {"unique_id": np.repeat(np.arange(64), 200), "ds": np.tile(dates, 64), "y": values.reshape(-1)}
    )
    shared = {"h": 12, "input_size": 48, "max_steps": 50, "encoder_hidden_size": 128, "random_seed": 1}
    quiet = {
        "enable_progress_bar": False,
        "logger": False,
        "enable_checkpointing": False,
        "accelerator": "cpu",
    }
    models = [GRU(**shared, **quiet), LSTM(**shared, **quiet)]
    if swap:
        for model in models:
            report = fastrnn.torch.accelerate(model)
            assert list(report.swapped) == ["hist_encoder"], report
    forecaster = NeuralForecast(models=models, freq="D")
    start = time.perf_counter()
    forecaster.fit(frame)
    seconds = time.perf_counter() - start
    forecasts = forecaster.predict()
    return seconds, {name: forecasts[name].to_numpy() for name in ("GRU", "LSTM")}


PACKAGES: dict[str, tuple[Callable[[bool], tuple[float, Result]], float]] = {
    "skorch": (skorch, 1e-3),
    "neuralforecast": (neuralforecast, 1e-2),
    "recurrent_ppo": (recurrent_ppo, 1e-2),  # an action that flips would change everything
}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("package", choices=PACKAGES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    fastrnn.set_num_threads(args.threads)
    run, tolerance = PACKAGES[args.package]
    times: dict[bool, list[float]] = {True: [], False: []}
    worst = 0.0
    for _ in range(args.rounds):
        found = {}
        for swap in random.sample([True, False], 2):
            seconds, found[swap] = run(swap)
            times[swap].append(seconds)
        for name, want in found[False].items():
            error = float(np.abs(found[True][name] - want).max() / max(1e-6, np.abs(want).max()))
            worst = max(worst, error)
            if not error <= tolerance:
                raise ArithmeticError(f"{name}: expected equal within {tolerance:g}, got {error:g}")
    ratios = [theirs / ours for theirs, ours in zip(times[False], times[True], strict=True)]
    print(f"{args.package}: as it was {statistics.median(times[False]):.2f} s, accelerated", end=" ")
    print(f"{statistics.median(times[True]):.2f} s, ratio {statistics.median(ratios):.2f}", end=" ")
    print(f"({min(ratios):.2f} to {max(ratios):.2f}); largest difference of results {worst:.1e}")


if __name__ == "__main__":
    main()
