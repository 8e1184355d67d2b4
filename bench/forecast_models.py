"""A forecaster on fastrnn and on PyTorch: equal weights, batches and steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from sentence_models import MAX_NORM

import fastrnn
from fastrnn.windows import Past, Windows


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


class Ours:
    """On fastrnn."""

    name = "fastrnn"

    def __init__(self, task: Task) -> None:
        self.model = fastrnn.Forecaster(
            task.columns, task.window, task.horizon, hidden_size=task.hidden, cell=task.cell, seed=0
        )
        self.optimizer = fastrnn.optim.Adam(self.model, lr=1e-3)

    def items(self, data: Windows) -> Iterator[tuple[Past, Any]]:
        """The batches, as this model takes them."""
        return (data[k] for k in range(len(data)))

    def step(self, x: Past, targets: Any) -> float:
        """One whole training step; the mean loss before it."""
        loss, _ = self.model.value_and_grad(x, targets)
        self.optimizer.step(max_norm=MAX_NORM)
        return float(loss)


class Torch:
    """On PyTorch; the series is a tensor, windows are gathered from it."""

    name = "torch"
    exact = True

    def __init__(self, task: Task) -> None:
        import torch

        self.torch, self.task, nn = torch, task, torch.nn
        parts = {
            "cell": getattr(nn, task.cell)(task.columns, task.hidden),
            "head": nn.Linear(task.hidden, task.horizon * task.columns),
            "linear": nn.Linear(task.window, task.horizon),
        }
        self.net = nn.ModuleDict(parts)
        ours = Ours(task).model.params
        self.net.load_state_dict(
            {name.replace("body.0.", "cell."): torch.tensor(values) for name, values in ours.items()}
        )
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3, fused=True)

    def items(self, data: Windows) -> Iterator[tuple[Any, Any]]:
        """The same windows in the same batches."""
        torch, (window, horizon) = self.torch, self.task[2:4]
        values, order = torch.from_numpy(data.values), torch.from_numpy(data._order)
        steps = torch.arange(window + horizon)[:, None]
        for starts in order.split(self.task.batch):
            rows = values[starts + steps]
            yield rows[:window], rows[window:].transpose(0, 1)

    def step(self, x: Any, targets: Any) -> float:
        """One whole training step; the mean loss before it."""
        torch, net, task = self.torch, self.net, self.task
        self.optimizer.zero_grad()
        last = x[-1]
        relative = x - last
        h, _ = net["cell"](relative)
        out = net["head"](h[-1]).view(-1, task.horizon, task.columns)
        linear = net["linear"](relative.permute(1, 2, 0)).transpose(1, 2)
        loss = torch.nn.functional.mse_loss(out + linear + last[:, None], targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), MAX_NORM, foreach=True)
        self.optimizer.step()
        return float(loss.detach())


MODELS = {model.name: model for model in (Ours, Torch)}
