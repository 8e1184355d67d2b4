"""What a forecaster computes: a recurrent layer over the window, a linear layer beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn.losses import MSE
from fastrnn.models.base import Model
from fastrnn.windows import Floats, Past


class ForecastNetwork(Model):
    """Children `body`, `head` and, for the autoregressive part, `linear`; all numbers are scaled."""

    body: Any
    head: Any
    window: int
    horizon: int
    targets: list[int]
    _loss, _nats = MSE(), False

    def _inputs(self, x: Past) -> tuple[Any, Any]:
        """What the recurrent layer reads, and the last row."""
        last = x.values[-1]
        relative = x.values - last
        if x.known is None:
            return relative, last
        return np.concatenate([relative, x.known[: self.window]], axis=2), last

    def _head_input(self, h: Any, known: Any) -> Any:
        if known is None:
            return h
        future = known[self.window :].swapaxes(0, 1).reshape(len(h), -1)
        return np.concatenate([h, future], axis=1)

    def _past_of_targets(self, x: Past) -> Any:
        """[B * K, W], relative to the last value."""
        relative = (x.values - x.values[-1])[:, :, self.targets]
        return np.ascontiguousarray(relative.transpose(1, 2, 0)).reshape(-1, self.window)

    def _joined(self, out: Any, linear: Any, last: Any) -> Any:
        """The forecast, [B, S, K]."""
        rows, count = len(out), len(self.targets)
        y = out.reshape(rows, self.horizon, count) + last[:, None, self.targets]
        return y if linear is None else y + linear.reshape(rows, count, self.horizon).swapaxes(1, 2)

    def value_and_grad(
        self, x: Past, targets: Floats, state: Any = None, key: int | None = None
    ) -> tuple[float, None]:
        """Return the mean squared error of a batch, and None; add the gradients to ``self.grads``."""
        read, last = self._inputs(x)
        (h, _), back = self.body.vjp(read, key=key)
        out, back_head = self.head.vjp(self._head_input(h, x.known))
        linear, back_linear = None, None
        if "linear" in self.children:
            layer: Any = self.children["linear"]
            linear, back_linear = layer.vjp(self._past_of_targets(x))
        loss, dy = self._loss.value_and_grad(self._joined(out, linear, last), targets)
        assert dy is not None
        if back_linear is not None:
            turned = np.ascontiguousarray(dy.swapaxes(1, 2)).reshape(-1, self.horizon)
            back_linear(turned, want_dx=False)
        dh: Any = back_head(dy.reshape(len(dy), -1))
        back.consume(np.ascontiguousarray(dh[:, : h.shape[1]]))
        return loss, None

    def _run(self, x: Past) -> Any:
        read, last = self._inputs(x)
        h, _ = self.body(read)
        layer: Any = self.children.get("linear")
        linear = None if layer is None else layer(self._past_of_targets(x))
        return self._joined(self.head(self._head_input(h, x.known)), linear, last)

    def total(self, x: Past, targets: Floats, state: Any = None) -> tuple[float, int, None]:
        """Return the sum of the squared errors without dropout, their number, and None."""
        return (*self._loss.total(self._run(x), targets), None)
