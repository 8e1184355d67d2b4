"""Forecasts: windows, scaling from the training part alone, known columns, intervals, and bad input."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from errors import Case, check
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn import Forecaster
from fastrnn.baselines import RidgeForecaster, persistence, seasonal_naive
from fastrnn.windows import Scaling, Windows, series

ROWS, W, S = 400, 24, 6
QUICK: dict[str, Any] = {"epochs": 4, "lr": 1e-2, "progress": False}


def waves(rows: int = ROWS, noise: float = 0.05) -> np.ndarray:
    """Two columns: a wave of 12 steps with noise, and another that is large."""
    t, draw = np.arange(rows), np.random.default_rng(0)
    clean = np.stack([np.sin(2 * np.pi * t / 12), 500 + 80 * np.cos(2 * np.pi * t / 12)], axis=1)
    return clean + draw.normal(0, noise, clean.shape) * [1, 80]


X = waves()
TRAIN, DEV, TEST = X[:240], X[216:320], X[296:]


def forecaster(**options: Any) -> Forecaster:
    """A small one."""
    return Forecaster(["wave", "load"], W, S, **{"hidden_size": 8, "seed": 0, **options})


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 12), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_windows_are_all_windows(window: int, horizon: int, more: int, batch: int, stride: int) -> None:
    rows = window + horizon + more
    values = np.arange(2.0 * rows).reshape(rows, 2)
    known = -np.arange(rows, dtype=float)[:, None]
    data = Windows(values, known, window, horizon, [1], batch, stride=stride, seed=3)
    for epoch in range(2):
        data.set_epoch(epoch)
        starts = []
        for k in range(len(data)):
            past, future = data[k]
            for b in range(len(future)):
                start = int(past.values[0, b, 0]) // 2
                starts.append(start)
                assert np.array_equal(past.values[:, b], values[start : start + window])
                assert np.array_equal(past.known[:, b], known[start : start + window + horizon])
                assert np.array_equal(future[b], values[start + window : start + window + horizon, 1:])
        assert sorted(starts) == list(range(0, more + 1, stride))
    assert data.count == len(starts)


@pytest.mark.parametrize("options", [{}, {"cell": "GRU", "autoregressive": False}, {"targets": ["load"]}])
def test_it_beats_the_last_value(options: dict[str, Any], tmp_path: Any) -> None:
    model = forecaster(**options)
    model.fit(TRAIN, validation_data=DEV, **{**QUICK, "epochs": 4 if model.config["autoregressive"] else 40})
    found = model.evaluate(TEST)
    assert found.windows == len(TEST) - W - S + 1
    assert found.mse < 0.2 * persistence(TEST, model)
    forecast = model.predict(TEST[:W])
    assert forecast.shape == (S, len(model.targets))
    assert np.abs(forecast - TEST[W : W + S, model.targets]).mean(axis=0)[-1] < 40
    low, high = model.predict_interval(TEST[:W], 0.9)
    narrow = model.predict_interval(TEST[:W], 0.5)
    assert (low < narrow[0]).all()
    assert (narrow[1] < high).all()
    model.save(tmp_path / "model")
    again = Forecaster.load(tmp_path / "model")
    assert np.array_equal(again.predict(TEST[:W]), forecast)
    assert np.array_equal(again.predict_interval(TEST[:W])[0], low)


def test_intervals_cover_what_they_say() -> None:
    long = waves(3000, noise=0.2)
    model = forecaster()
    model.fit(long[:1000], validation_data=long[1000:2000], **QUICK)
    inside = []
    for start in range(2000, 3000 - W - S, 7):
        low, high = model.predict_interval(long[start : start + W], 0.9)
        future = long[start + W : start + W + S]
        inside.append((low <= future) & (future <= high))
    assert 0.85 < np.mean(inside) < 0.95


def test_gradients_are_those_of_the_loss() -> None:
    """Central differences in float64, with known columns and all parts of the model."""
    model = forecaster(dtype="float64", known=2, cell="GRU")
    draw = np.random.default_rng(1)
    model.flat_params[:] = draw.normal(0, 0.3, model.flat_params.size)
    model.scaling = Scaling([0, 0], [1, 1])
    past, future = Windows(draw.normal(size=(40, 2)), draw.normal(size=(40, 2)), W, S, [0, 1], 5)[0]
    model.value_and_grad(past, future)
    for place in draw.choice(model.flat_params.size, 40, replace=False):
        values, step = model.flat_params, 1e-6
        before, found = values[place], []
        for change in (step, -step):
            values[place] = before + change
            found.append(np.divide(*model.total(past, future)[:2]))
        values[place] = before
        slope = (found[0] - found[1]) / (2 * step)
        assert slope == pytest.approx(model.flat_grads[place], rel=1e-5, abs=1e-8)


def test_known_columns_are_used() -> None:
    """The future is what the known column says, and nothing else tells it."""
    draw = np.random.default_rng(0)
    known = draw.normal(size=(ROWS, 1))
    x = np.stack([known[:, 0], draw.normal(size=ROWS)], axis=1)
    model = forecaster(known=1, targets=["wave"])
    model.fit(x[:300], known[:300], (x[276:], known[276:]), **{**QUICK, "epochs": 12})
    assert model.evaluate(x[300:], known[300:]).mse < 0.3  # 2 for the last value, 1 for the mean
    assert model.predict(x[300:324], known=known[300:330]).shape == (S, 1)


def test_what_is_refused_changes_nothing() -> None:
    model = forecaster()
    model.fit(TRAIN, validation_data=DEV, **{**QUICK, "epochs": 1})
    before = model.predict(TEST), model.predict_interval(TEST)
    for wrong in ({"validation_data": broken(3, 0)}, {"lr": -1.0}):
        with pytest.raises(ValueError, match="expected"):
            model.fit(TRAIN * 3, **{**QUICK, **wrong})
        assert np.array_equal(model.predict(TEST), before[0])
        assert np.array_equal(model.predict_interval(TEST), before[1])
    model.fit(TRAIN * 3, **{**QUICK, "epochs": 1})
    with pytest.raises(ValueError, match="expected a model with errors, got none"):
        model.predict_interval(TEST)  # those there were are of other numbers


def test_scaling_sees_the_training_part_alone() -> None:
    a, b = forecaster(), forecaster()
    a.fit(TRAIN, validation_data=DEV, **{**QUICK, "epochs": 1})
    b.fit(TRAIN, validation_data=DEV * 1000, **{**QUICK, "epochs": 1})
    assert np.array_equal(a.scaling.mean, b.scaling.mean)
    assert np.allclose(a.scaling.mean, TRAIN.mean(axis=0), rtol=1e-6)
    assert Scaling.of(np.ones((5, 1))).deviation == 1


def test_a_constant_column_has_the_deviation_one() -> None:
    values = np.stack([waves(100)[:, 0], np.full(100, 0.1)], axis=1)
    assert values.astype(np.float64)[:, 1].std() > 0  # a rounding error
    assert Scaling.of(values).deviation[1] == 1.0


def test_a_deviation_that_is_rounding_is_none() -> None:
    values = np.array([0.3, 0.1 + 0.2] * 5)[:, None]
    assert np.ptp(values) > 0
    assert Scaling.of(values).deviation == 1.0


def test_large_numbers_keep_what_is_small() -> None:
    """float32 has no neighbours of 1e9 nearer than 64."""
    wave, found = waves(noise=0.0)[:, 0], []
    for level in (0.0, 1e9):
        model = Forecaster(1, W, S, hidden_size=8, seed=0)
        model.fit(wave[:240] + level, validation_data=wave[216:320] + level, **QUICK)
        assert model.evaluate(wave[296:] + level).mse < 0.1
        found.append(model.predict(wave[296:320] + level)[:, 0] - level)
    assert np.allclose(*found, atol=1e-4)


def test_windows_do_not_copy_the_series() -> None:
    data = Windows(np.zeros((200_000, 1)), None, 2, 1, [0], 1)
    tracemalloc.start()
    try:
        data[7]
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_baselines() -> None:
    model = forecaster()
    model.fit(TRAIN, validation_data=DEV, **{**QUICK, "epochs": 1})
    flat = persistence(TEST, model)
    season = seasonal_naive(TEST, model, 12)
    ridge = RidgeForecaster(alpha=1.0).fit(TRAIN, model).score(TEST)
    assert ridge < 0.1 * flat
    assert season < 0.1 * flat
    repeated = np.tile(np.arange(12.0), 40)[:, None] * [1, 1]
    assert seasonal_naive(repeated, model, 12) == 0
    with pytest.raises(ValueError, match=r"^period: expected an int <= 24, got 25$"):
        seasonal_naive(TEST, model, 25)


def test_resumed(tmp_path: Any) -> None:
    whole, again = forecaster(), forecaster(seed=4)
    whole.fit(TRAIN, validation_data=DEV, **QUICK)
    again.fit(TRAIN, validation_data=DEV, checkpoint=tmp_path / "run", **QUICK)
    other = forecaster(seed=5)
    other.fit(TRAIN, validation_data=DEV, checkpoint=tmp_path / "run", resume=True, **QUICK)
    assert np.array_equal(other.flat_params, again.flat_params)
    assert Forecaster.load(tmp_path / "run").errors is None


def broken(row: int, column: int, value: float = np.nan) -> np.ndarray:
    """The training part with a number that is none."""
    x = TRAIN.copy()
    x[row, column] = value
    return x


ERRORS: dict[str, Case] = {
    "one column": (
        lambda: Forecaster("load", W, S),
        TypeError,
        "columns: expected a list of names, got 'load'",
    ),
    "targets": (
        lambda: forecaster(targets="load"),
        TypeError,
        "targets: expected a list of names, got 'load'",
    ),
    "twice": (
        lambda: Forecaster(["a", "b", "a"], W, S),
        ValueError,
        "columns: expected each once, got 'a' 2 times",
    ),
    "nan": (
        lambda: forecaster().fit(broken(17, 1)),
        ValueError,
        "x: expected finite numbers, got nan at row 17, column 1 ('load')",
    ),
    "inf": (
        lambda: forecaster().fit(TRAIN, validation_data=broken(3, 0, np.inf)),
        ValueError,
        "validation_data: expected finite numbers, got inf at row 3, column 0 ('wave')",
    ),
    "short": (
        lambda: forecaster().fit(TRAIN[:29]),
        ValueError,
        "x: expected at least window + horizon = 24 + 6 = 30 rows, got 29",
    ),
    "columns": (lambda: forecaster().fit(TRAIN[:, :1]), ValueError, "x: expected shape (N, 2), got (240, 1)"),
    "text": (lambda: series("x", ["a"], 1, np.dtype("f4")), TypeError, "x: expected numbers, got <U1"),
    "target": (
        lambda: forecaster(targets=["heat"]),
        ValueError,
        "targets: expected columns out of ['wave', 'load'], got 'heat'",
    ),
    "number": (lambda: forecaster(targets=[2]), ValueError, "targets: expected an int <= 1, got 2"),
    "no target": (
        lambda: forecaster(targets=[]),
        ValueError,
        "targets: expected at least one column, got none",
    ),
    "known": (
        lambda: forecaster().fit(TRAIN, TRAIN),
        ValueError,
        "known: expected None for a model without known columns, got some",
    ),
    "no known": (
        lambda: forecaster(known=1).fit(TRAIN),
        ValueError,
        "known: expected shape (240, 1), got None",
    ),
    "known rows": (
        lambda: forecaster(known=1).fit(TRAIN, TRAIN[:9, :1]),
        ValueError,
        "known: expected 240 rows, got 9",
    ),
    "unfitted": (
        lambda: forecaster().predict(TRAIN),
        ValueError,
        "x: expected a fitted model, got one without scaling; call fit first",
    ),
    "errors": (
        lambda: forecaster().predict_interval(TRAIN),
        ValueError,
        "predict_interval: expected a model with errors, got none; call calibrate first",
    ),
    "coverage": (
        lambda: forecaster().predict_interval(TRAIN, 1.5),
        ValueError,
        "coverage: expected 0 <= coverage < 1, got 1.5",
    ),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)


def test_history_that_is_too_short() -> None:
    model = forecaster()
    model.fit(TRAIN, **{**QUICK, "epochs": 1})
    with pytest.raises(ValueError, match=r"^x: expected at least window = 24 rows, got 23$"):
        model.predict(TRAIN[:23])
