"""A forecaster on fastrnn and on PyTorch: equal weights, batches and steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import epochs
import numpy as np

import fastrnn
from fastrnn.windows import Windows


class Task(NamedTuple):
    """The cell, columns, rows that a forecast sees and is of, H, rows of the series, windows of a batch."""

    cell: str
    columns: int
    window: int
    horizon: int
    hidden: int
    rows: int
    batch: int

    def data(self) -> Windows:
        """All windows of some waves with noise."""
        time, draw = np.arange(self.rows)[:, None], np.random.default_rng(0)
        waves = np.sin(time * (0.1 + 0.05 * np.arange(self.columns)))
        values = (waves + 0.1 * draw.standard_normal(waves.shape)).astype(np.float32)
        return Windows(values, None, self.window, self.horizon, range(self.columns), self.batch, seed=0)

    same = data  # of which all contenders make the same

    def small(self) -> Task:
        """With as much data as the first steps want."""
        return self._replace(rows=400)

    def flops(self) -> float:
        """Of an epoch: the cell alone."""
        gates = {"LSTM": 4, "GRU": 3}[self.cell]
        steps = self.data().count * self.window
        return 6.0 * steps * gates * self.hidden * (self.columns + self.hidden)


class Ours(epochs.Ours):
    """On fastrnn."""

    def __init__(self, task: Task) -> None:
        sizes = (task.columns, task.window, task.horizon)
        super().__init__(fastrnn.Forecaster(*sizes, hidden_size=task.hidden, cell=task.cell, seed=0))


class Torch(epochs.Torch):
    """On PyTorch; the series is a tensor, windows are gathered from it."""

    def __init__(self, task: Task) -> None:
        from torch import nn

        self.task = task
        parts = {
            "cell": getattr(nn, task.cell)(task.columns, task.hidden),
            "head": nn.Linear(task.hidden, task.horizon * task.columns),
            "linear": nn.Linear(task.window, task.horizon),
        }
        ours = Ours(task).model.params
        super().__init__(parts, {name.replace("body.0.", "cell."): values for name, values in ours.items()})

    def items(self, data: Windows) -> Iterator[tuple[Any, Any]]:
        """The same windows in the same batches."""
        torch, (window, horizon) = self.torch, self.task[2:4]
        values, order = torch.from_numpy(data.values), torch.from_numpy(data._order)
        steps = torch.arange(window + horizon)[:, None]
        for starts in order.split(self.task.batch):
            rows = values[starts + steps]
            yield rows[:window], rows[window:].transpose(0, 1)

    def _loss(self, x: Any, targets: Any) -> Any:
        net, task = self.net, self.task
        last = x[-1]
        relative = x - last
        h, _ = net["cell"](relative)
        out = net["head"](h[-1]).view(-1, task.horizon, task.columns)
        linear = net["linear"](relative.permute(1, 2, 0)).transpose(1, 2)
        return self.torch.nn.functional.mse_loss(out + linear + last[:, None], targets)


MODELS = {model.name: model for model in (Ours, Torch)}
