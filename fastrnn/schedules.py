"""Learning-rate schedules: the rate at a step of an epoch, and how it answers to a validation loss."""

from __future__ import annotations

import math
from typing import Any

from fastrnn import _check


class Schedule:
    """
    A constant rate, and the protocol of the others.

    A schedule depends on counted steps and losses alone, never on the clock, so that a resumed run repeats
    it.
    """

    def __init__(self, lr: float) -> None:
        self.base = _check.real("lr", lr, -math.inf)
        if not self.base > 0:
            raise ValueError(f"lr: expected a positive number, got {lr!r}")

    def lr(self, step: int, epoch: int) -> float:
        """Return the rate of step `step`, counted from 0 over the whole run, in epoch `epoch`, from 0."""
        return self.base

    def on_loss(self, loss: float) -> None:
        """Take note of the loss at the end of an epoch: on the validation data, if there are any."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that the schedule is made of, as plain numbers."""
        return {"name": type(self).__name__, **vars(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken; ValueError for another kind of schedule or setting."""
        mine = self.state_dict()
        for key in sorted(mine.keys() | state.keys(), key=lambda key: (key != "name", key)):
            if not key.startswith("_") and mine.get(key) != state.get(key):
                raise ValueError(
                    f"schedule: expected {key} = {state.get(key)!r}, as in the checkpoint, "
                    f"got {mine.get(key)!r}"
                )
        vars(self).update({key: value for key, value in state.items() if key.startswith("_")})


Constant = Schedule


def _factor(value: float) -> float:
    number = _check.real("factor", value, -math.inf)
    if not 0 < number <= 1:
        raise ValueError(f"factor: expected 0 < factor <= 1, got {value!r}")
    return number


class StepDecay(Schedule):
    """
    Full rate for `hold` epochs, then multiplied by `factor` before every further epoch.

    Zaremba et al. 2014 (arXiv:1409.2329), small model on PTB: hold 4, factor 0.5, SGD with lr 1 on a loss
    that is a sum over the T = 20 steps of a chunk. Here losses are means over steps, so that is lr 20 (and
    max_norm 5 / 20).
    """

    def __init__(self, lr: float, hold: int, factor: float) -> None:
        super().__init__(lr)
        self.hold, self.factor = _check.integer("hold", hold, 0), _factor(factor)

    def lr(self, step: int, epoch: int) -> float:
        """Return ``lr * factor ** max(epoch + 1 - hold, 0)``."""
        return float(self.base * self.factor ** max(epoch + 1 - self.hold, 0))


class Plateau(Schedule):
    """Cut the rate to `factor` of it after more than `patience` epochs without progress by `threshold`."""

    def __init__(self, lr: float, factor: float = 0.5, patience: int = 0, threshold: float = 0.0) -> None:
        super().__init__(lr)
        self.factor, self.patience = _factor(factor), _check.integer("patience", patience, 0)
        self.threshold = _check.real("threshold", threshold)
        self._best, self._waited, self._scale = math.inf, 0, 1.0

    def lr(self, step: int, epoch: int) -> float:
        """Return the rate after the cuts so far."""
        return self.base * self._scale

    def on_loss(self, loss: float) -> None:
        """Cut the rate if the loss has not fallen for long enough."""
        if loss < self._best - self.threshold:
            self._best, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited > self.patience:
            self._scale, self._waited = self._scale * self.factor, 0


class Cosine(Schedule):
    """
    Rise linearly over `warmup` steps, then fall along half a cosine to ``lr * final`` at step `total`.

    Loshchilov and Hutter 2017 (arXiv:1608.03983), without restarts.
    """

    def __init__(self, lr: float, total: int, warmup: int = 0, final: float = 0.0) -> None:
        super().__init__(lr)
        self.total, self.warmup = _check.integer("total", total, 1), _check.integer("warmup", warmup, 0)
        self.final = _check.real("final", final)

    def lr(self, step: int, epoch: int) -> float:
        """Return the rate on the ramp or on the curve."""
        ramp = min((step + 1) / (self.warmup + 1), 1.0)
        share = min(max(step - self.warmup, 0) / max(self.total - self.warmup, 1), 1.0)
        return self.base * ramp * (self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * share)))
