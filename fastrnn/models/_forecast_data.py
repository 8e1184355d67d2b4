"""Series on their way into a forecaster, and its forecasts on their way back."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn.models._forecast_network import ForecastNetwork
from fastrnn.windows import Floats, Past, Scaling, Windows, series


class ForecastData(ForecastNetwork):
    """The part of `Forecaster` that checks series, scales them and cuts windows out of them."""

    names: list[str]  # of the columns, or none
    width: int  # columns
    known: int  # columns that are known of the future too
    scaling: Scaling | None

    def _series(self, name: str, value: Any) -> Floats:
        return series(name, value, self.width, np.dtype(np.float64), self.names)

    def _scaled(self, name: str, values: Floats) -> Floats:
        """In the dtype of the model, which could not tell large numbers from their neighbours."""
        if self.scaling is None:
            raise ValueError(f"{name}: expected a fitted model, got one without scaling; call fit first")
        return self.scaling.scale(values).astype(self.flat_params.dtype)

    def _known(self, name: str, value: Any, rows: int) -> Floats | None:
        if not self.known:
            if value is not None:
                raise ValueError(f"{name}: expected None for a model without known columns, got some")
            return None
        if value is None:
            raise ValueError(f"{name}: expected shape ({rows}, {self.known}), got None")
        found = series(name, value, self.known, self.flat_params.dtype)
        if len(found) != rows:
            raise ValueError(f"{name}: expected {rows} rows, got {len(found)}")
        return found

    def _windows(
        self, name: str, values: Floats, known: Any, batch: int, stride: int = 1, seed: int | None = None
    ) -> Windows:
        scaled, sizes = self._scaled(name, values), (self.window, self.horizon)
        return Windows(scaled, known, *sizes, self.targets, batch, stride=stride, seed=seed, name=name)

    def _held_out(self, name: str, given: Any) -> Windows:
        pair = isinstance(given, (tuple, list)) and len(given) == 2 and (self.known or given[1] is None)
        value, known = given if pair else (given, None)
        values = self._series(name, value)
        return self._windows(name, values, self._known(f"{name}[1]", known, len(values)), 256)

    def _restore(self, y: Floats) -> Floats:
        assert self.scaling is not None
        return self.scaling.restore(y, self.targets)

    def _last(self, x: Any, known: Any) -> Past:
        values = self._series("x", x)
        past = self._scaled("x", values[-self.window :])[:, None]
        if len(values) < self.window:
            raise ValueError(f"x: expected at least window = {self.window} rows, got {len(values)}")
        future = self._known("known", known, self.window + self.horizon)
        return Past(past, None if future is None else future[:, None])
