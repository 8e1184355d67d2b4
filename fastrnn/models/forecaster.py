"""Forecasts of many steps of one or several series, with intervals."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastrnn import _check, checkpoint
from fastrnn._random import fold
from fastrnn.layers import Dropout, Linear, Pool, Sequential
from fastrnn.models._forecast_data import ForecastData
from fastrnn.models.base import own_options, recurrent_layer
from fastrnn.windows import Floats, Past, Scaling, Windows, listed

if TYPE_CHECKING:
    from typing_extensions import Self

    from fastrnn.callbacks import History

LEVELS = 201  # quantiles of errors that are kept


class ForecastScore(NamedTuple):
    """Mean squared and absolute error of scaled values, and over how many windows."""

    mse: float
    mae: float
    windows: int


class Forecaster(ForecastData):
    """
    Forecast some columns of a series for a horizon of several steps at once.

    A recurrent layer reads the last `window` rows, less the last one of them; a linear layer makes the
    forecast of its last output and of what is known of the future. Added to it are the last value and, with
    `autoregressive`, a linear function of the window, the same for all targets (Lai et al. 2018,
    arXiv:1703.07015).

    Parameters
    ----------
    columns
        Names of the columns of the series, or their number V.
    window, horizon
        W rows that a forecast sees, S rows that it is of.
    targets
        The columns to forecast, by name or number; None is all of them.
    known
        C, the number of columns of another series that is known of the future too, such as the hour. They are
        not scaled.
    hidden_size, num_layers, cell, cell_options
        Of the recurrent layer.
    autoregressive
        Add the linear part.
    dropout
        Before the head and between layers.
    compute
        What products are computed in: ``"bfloat16"``, or None for the dtype; see ``Layer.set_compute``.
    dtype, seed
        ``"float32"`` or ``"float64"``; of the initial parameters.

    Examples
    --------
    >>> model = fastrnn.Forecaster(["load", "temperature"], window=168, horizon=24, targets=["load"], seed=0)
    >>> model.fit(train, validation_data=dev, epochs=10)
    >>> forecast = model.predict(history)
    >>> low, high = model.predict_interval(history, coverage=0.9)
    """

    def __init__(
        self,
        columns: int | Sequence[str],
        window: int,
        horizon: int,
        *,
        targets: Sequence[int | str] | None = None,
        known: int = 0,
        hidden_size: int = 64,
        num_layers: int = 1,
        cell: str = "LSTM",
        cell_options: dict[str, Any] | None = None,
        autoregressive: bool = True,
        dropout: float = 0.0,
        dtype: str = "float32",
        compute: str | None = None,
        seed: int | None = None,
    ) -> None:
        whole = isinstance(columns, (int, np.integer))
        self.names = [] if whole else [str(name) for name in listed("columns", columns)]
        self.width = len(self.names) or _check.integer("columns", columns, 1)
        self.window = _check.integer("window", window, 1)
        self.horizon = _check.integer("horizon", horizon, 1)
        self.known = _check.integer("known", known, 0)
        chosen = range(self.width) if targets is None else listed("targets", targets)
        self.targets = [self._column(target) for target in chosen]
        if not self.targets:
            raise ValueError("targets: expected at least one column, got none")
        if len(set(self.targets)) < len(self.targets):
            raise ValueError(f"targets: expected each once, got {listed('targets', targets)}")
        seeds = [None if seed is None else fold(_check.integer("seed", seed, 0), i) for i in range(3)]
        options = dict(dropout=dropout, dtype=dtype, seed=seeds[0], **own_options(cell_options))
        layer = recurrent_layer(cell, self.width + self.known, hidden_size, num_layers, **options)
        both = bool(layer.bidirectional)
        parts = [layer, Pool("last", bidirectional=both), *([Dropout(dropout)] if layer.dropout else [])]
        self.body = Sequential(*parts)
        wide = layer.output_size * layer.directions + self.horizon * self.known
        self.head = Linear(wide, self.horizon * len(self.targets), dtype=dtype, seed=seeds[1])
        children: dict[str, Any] = {"body": self.body, "head": self.head}
        if _check.flag("autoregressive", autoregressive):
            children["linear"] = Linear(self.window, self.horizon, dtype=dtype, seed=seeds[2])
            children["linear"].flat_params.fill(0)
        self._compose(children)
        self.set_compute(compute)
        self.scaling: Scaling | None = None
        self.errors: Floats | None = None
        self.config: dict[str, Any] = {
            "columns": self.names or self.width,
            "window": self.window,
            "horizon": self.horizon,
            "targets": self.targets,
            "known": self.known,
            "hidden_size": layer.hidden_size,
            "num_layers": layer.num_layers,
            "cell": cell,
            "cell_options": dict(cell_options or {}),
            "autoregressive": bool(autoregressive),
            "dropout": layer.dropout,
            "dtype": str(layer.dtype),
        }

    def _column(self, target: int | str) -> int:
        if isinstance(target, str):
            if target not in self.names:
                raise ValueError(f"targets: expected columns out of {self.names}, got {target!r}")
            return self.names.index(target)
        return _check.integer("targets", target, 0, self.width - 1)

    def fit(
        self,
        x: Any,
        known: Any = None,
        validation_data: Any = None,
        *,
        batch: int = 32,
        stride: int = 1,
        seed: int = 0,
        **training: Any,
    ) -> History:
        """
        Train on all windows of a series; its means and deviations alone scale what comes later.

        Parameters
        ----------
        x
            [N, V], in time; anything that NumPy makes an array of.
        known
            [N, C], of the same rows, for a model with `known`.
        validation_data
            A later series, or a pair (series, known): the parameters of the best epoch are kept, and the
            errors on it give the intervals. Its first W rows are seen and not forecast, so it may begin with
            the last rows of x.
        batch, stride
            Windows of a batch; rows between their begins.
        seed
            Of the order of the windows and of dropout.
        training
            As `Model.train` takes it: epochs, lr, optimizer, patience, callbacks, checkpoint, ...

        Raises
        ------
        ValueError
            A series is shorter than W + S, or has a number that is not finite.
        """
        values = self._series("x", x)
        before, version = (self.scaling, self.errors), self.version
        self.scaling, self.errors = Scaling.of(values), None
        try:
            data = self._windows("x", values, self._known("known", known, len(values)), batch, stride, seed)
            held_out = None
            if validation_data is not None:
                held_out = self._held_out("validation_data", validation_data)
            history = self.train(data, held_out, seed=seed, **{"unit": "number", **training})
        except BaseException:
            if self.version == version:  # nothing is trained: the model stays what it was
                self.scaling, self.errors = before
            raise
        if held_out is not None:
            self._calibrate(held_out)
        return history

    def calibrate(self, x: Any, known: Any = None) -> None:
        """Take the errors on all windows of a series, of data that was not trained on, for the intervals."""
        self._calibrate(self._held_out("x", (x, known) if self.known else x))

    def _calibrate(self, data: Windows) -> None:
        parts = []
        for k in range(len(data)):
            past, wanted = data[k]
            parts.append(np.abs(wanted - self._run(past)) / self._unrest(past)[:, None])
        errors = np.concatenate(parts)
        self.errors = np.quantile(errors, np.linspace(0, 1, LEVELS), axis=0).astype(self.flat_params.dtype)

    def evaluate(self, x: Any, known: Any = None) -> ForecastScore:
        """Return the errors on all windows of a series, in standard deviations of the training part."""
        data = self._held_out("x", (x, known) if self.known else x)
        squares, sizes, count = 0.0, 0.0, 0
        for k in range(len(data)):
            past, wanted = data[k]
            error = (self._run(past) - wanted).astype(np.float64)
            squares, sizes = squares + float((error * error).sum()), sizes + float(np.abs(error).sum())
            count += error.size
        return ForecastScore(squares / count, sizes / count, data.count)

    def predict(self, x: Any, known: Any = None) -> Floats:
        """
        Return the forecast for the S rows after x, [S, K], in the units of x.

        Parameters
        ----------
        x
            At least W rows; the last W are looked at.
        known
            [W + S, C]: of these rows and of those of the forecast.
        """
        return self._restore(self._run(self._last(x, known))[0])

    def predict_interval(self, x: Any, coverage: float = 0.9, known: Any = None) -> tuple[Floats, Floats]:
        """
        Return low and high, [S, K] each, between which a share `coverage` of values is to be expected.

        The width is that quantile of the absolute errors of each step and target on the validation data (Lei
        et al. 2018, arXiv:1604.04173); it holds as far as the future is as hard as that was.
        """
        _check.real("coverage", coverage, 0.0, 1.0)
        if self.errors is None:
            raise ValueError("predict_interval: expected a model with errors, got none; call calibrate first")
        level = np.clip(coverage, 0, 1) * (LEVELS - 1)
        below = int(level)
        above = min(below + 1, LEVELS - 1)
        width = self.errors[below] + (level - below) * (self.errors[above] - self.errors[below])
        past = self._last(x, known)
        y, width = self._run(past)[0], width * self._unrest(past)[0]
        return self._restore(y - width), self._restore(y + width)

    def _unrest(self, past: Past) -> Any:
        """The mean step from row to row within the window, [B, K]: what errors are measured in."""
        steps = np.abs(np.diff(past.values[:, :, self.targets], axis=0))
        return steps.mean(axis=0) + 1e-3 if len(steps) else np.ones(steps.shape[1:], steps.dtype)

    def describe(self) -> dict[str, Any]:
        """Return all of the model but its parameters, as a checkpoint holds it."""
        scaling = self.scaling
        found = None if scaling is None else [scaling.mean.tolist(), scaling.deviation.tolist()]
        return {"kind": "Forecaster", "config": self.config, "scaling": found}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model, with the errors for its intervals, to one file; see `fastrnn.checkpoint`."""
        arrays = {"parameters": self.flat_params, "errors": self.errors}
        checkpoint.save(path, {"model": self.describe() | arrays})

    @classmethod
    def _build(cls, model: dict[str, Any]) -> Self:
        made = cls(**model["config"], seed=0)
        made.scaling = None if model["scaling"] is None else Scaling(*model["scaling"])
        made.errors = model.get("errors")
        return made
