"""What happens around a training loop: progress, history, early stopping, checkpoints, a time limit."""

from __future__ import annotations

import contextlib
import math
import os
import time
import warnings
from typing import TYPE_CHECKING, Any

from fastrnn import _check
from fastrnn._callback import Callback as Callback
from fastrnn._callback import Logs as Logs
from fastrnn._callback import held_out_loss as held_out_loss
from fastrnn._callback import perplexity as perplexity
from fastrnn._progress import ProgressBar as ProgressBar

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastrnn.training import Trainer


class History(Callback):
    """Keep the logs of all epochs of a run in `epochs`, a list of dicts."""

    def __init__(self) -> None:
        self.epochs: list[Logs] = []

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Begin a new list for a new run."""
        if not trainer.steps_done:
            self.epochs = []

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Append the logs."""
        self.epochs.append(dict(logs))

    def state_dict(self) -> dict[str, Any]:
        """Return the epochs so far."""
        return {"epochs": self.epochs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the epochs of the checkpoint."""
        self.epochs = list(state["epochs"])


class EarlyStopping(Callback):
    """
    Stop after `patience` epochs without a validation loss below the best; keep the best parameters.

    Parameters
    ----------
    patience
        At least 1; None never stops.
    restore_best
        Put the parameters of the best epoch back when the run is finished.
    monitor
        The name of a number in the logs, such as that of a `Score` that comes before this callback: the
        largest is the best, but of a name that ends in "loss" the smallest. None is the held-out loss.
    """

    def __init__(
        self, patience: int | None = None, restore_best: bool = True, monitor: str | None = None
    ) -> None:
        self.patience = None if patience is None else _check.integer("patience", patience, 1)
        self.restore_best, self.monitor = restore_best, monitor
        self._forget()

    def _forget(self) -> None:
        self.best, self.best_epoch, self._waited = math.inf, -1, 0
        self._parameters: Any = None

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Forget another run: its parameters are not those of this model."""
        if not trainer.steps_done:
            self._forget()

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Compare; without validation data the training loss counts."""
        loss = held_out_loss(logs) if self.monitor is None else self._monitored(logs, self.monitor)
        if loss < self.best:
            self.best, self.best_epoch, self._waited = loss, logs["epoch"], 0
            if self.restore_best:
                self._parameters = trainer.model.flat_params.copy()
        else:
            self._waited += 1
            if self.patience is not None and self._waited >= self.patience:
                trainer.stop(finished=True)

    @staticmethod
    def _monitored(logs: Logs, name: str) -> float:
        if name not in logs:
            raise ValueError(f"monitor: expected one of {', '.join(logs)}, got {name!r}")
        return float(logs[name]) if name.endswith("loss") else -float(logs[name])

    def on_fit_end(self, trainer: Trainer) -> None:
        """Put the best parameters back."""
        if trainer.finished and not trainer.failed and self._parameters is not None:
            trainer.set_parameters(self._parameters)

    def state_dict(self) -> dict[str, Any]:
        """Return the best loss and epoch and its parameters."""
        state = {"best": self.best, "best_epoch": self.best_epoch, "waited": self._waited}
        return state | {"parameters": self._parameters}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on waiting where the checkpoint was written."""
        self.best, self.best_epoch, self._waited = state["best"], state["best_epoch"], state["waited"]
        self._parameters = state["parameters"]


class Score(Callback):
    """Put ``function()``, a number, into the logs of every epoch under `name`; of many processes the mean."""

    def __init__(self, name: str, function: Callable[[], float]) -> None:
        self.name, self.function = name, function

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Call the function: the parameters are those after the epoch."""
        logs[self.name] = trainer.average(float(self.function()))


class Checkpoint(Callback):
    """
    Write the whole training state to `path` every `every` seconds, at the end of a step, and when training
    ends.

    A periodic write that fails (disk full) leaves the file before it and warns; the first and the last one
    raise.
    """

    first_only = True

    def __init__(self, path: str | os.PathLike[str], every: float = 30.0) -> None:
        self.path = os.path.abspath(path)  # wherever the program goes
        self.every = _check.real("checkpoint_every", every)
        self._last, self._written, self._seconds = -math.inf, -1, 0.0

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Write at once: a folder that cannot be written to should not show after hours."""
        self._write(trainer)

    def on_step_end(self, trainer: Trainer, logs: Logs) -> None:
        """Write if it is time."""
        if trainer._team.writes(self.due()):
            try:
                self._write(trainer)
            except OSError as error:
                self._last = time.monotonic()
                warnings.warn(f"{error.strerror}; the one before it stands", RuntimeWarning, stacklevel=2)

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Note that the state has changed after the last step."""
        self._written = -1

    def due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() - self._last >= self.every

    def on_fit_end(self, trainer: Trainer) -> None:
        """Write the last state; after an error or Ctrl-C only between steps, and if it is quick."""
        if self._written == trainer.steps_done:
            return
        if not trainer.failed:
            self._write(trainer)
        elif trainer.at_boundary and self._seconds < 0.3:
            with contextlib.suppress(OSError):  # the error that ended the run is the one to show
                self._write(trainer)

    def _write(self, trainer: Trainer) -> None:
        start = time.monotonic()
        trainer.save(self.path)
        self._last, self._written = time.monotonic(), trainer.steps_done
        self._seconds = self._last - start


class TimeLimit(Callback):
    """Stop at the first step boundary after `seconds`; the run is not finished and can be resumed."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.reached, self._end = seconds, False, math.inf

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Start the clock."""
        self._end = time.monotonic() + self.seconds

    def on_step_end(self, trainer: Trainer, logs: Logs) -> None:
        """Look at the clock."""
        if time.monotonic() >= self._end:
            self.reached = True
            trainer.stop(finished=False)
