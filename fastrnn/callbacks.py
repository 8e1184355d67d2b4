"""What happens around a training loop: progress, history, early stopping, checkpoints, a time limit."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

from fastrnn import _check

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastrnn.training import Trainer

Logs = dict[str, Any]


class Callback:
    """
    Four hooks that do nothing; derive from it and override what you need.

    A callback that remembers something across steps returns it from `state_dict`; it is then part of the
    checkpoint. Do not change the model or the optimiser by the clock: a resumed run must repeat the same
    bits.

    Attributes
    ----------
    first_only
        Of a class: in a distributed run its hooks are called in the first process alone.
    """

    first_only = False

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Run before the first step, of a new or of a resumed run."""

    def on_step_end(self, trainer: Trainer, logs: Logs) -> None:
        """Run after each optimiser step; `logs` has step, epoch, loss, norm, lr and tokens of this step."""

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Run after validation; `logs` has epoch, step, loss, lr and, if validated, validation_loss."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """Run when training ends, also when it ends by an error or by Ctrl-C."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: numbers, strings, arrays, lists and dicts of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""


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
        self.path, self.every = path, every
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


class ProgressBar(Callback):
    """
    Progress of the whole run on stderr: loss, perplexity, tokens a second, time left; and one line an epoch.

    `unit` is what a token is called. On a terminal it is a bar, elsewhere a line every 10 s. Without `nats`
    the loss is no negative log-likelihood, and has no perplexity.
    """

    first_only = True

    def __init__(self, unit: str = "token", nats: bool = True) -> None:
        self.unit, self.nats = unit, nats
        self._bar: Any = None
        self._loss, self._shown = math.nan, 0.0

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Open the bar, at the step where a resumed run goes on."""
        from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]

        terminal = sys.stderr.isatty()
        self._pause = 0.2 if terminal else 10.0
        self._begin, self._shown, self._loss = time.monotonic(), time.monotonic(), math.nan
        self._counts = {
            "total": trainer.total_steps * trainer.tokens_per_step,
            "initial": trainer.steps_done * trainer.tokens_per_step,
        }
        look = {"unit": self.unit, "unit_scale": True}
        self._bar = tqdm(**self._counts, **look, mininterval=0.2, dynamic_ncols=True) if terminal else None

    def on_step_end(self, trainer: Trainer, logs: Logs) -> None:
        """Advance; the loss shown is smoothed over some 50 steps."""
        loss = logs["loss"]
        self._loss = loss if math.isnan(self._loss) else self._loss + 0.02 * (loss - self._loss)
        now = time.monotonic()
        if now - self._shown > self._pause:
            self._shown = now
            values = f"loss {self._loss:.3f}"
            values += f", perplexity {perplexity(self._loss):.2f}" if self.nats else ""
            if self._bar is not None:
                self._bar.set_postfix_str(values, refresh=False)
            else:
                self._print(trainer, values, now - self._begin)
        if self._bar is not None:
            self._bar.update(trainer.tokens_per_step)

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Print the epoch above the bar."""
        parts = [f"epoch {logs['epoch'] + 1}/{trainer.epochs}", f"loss {logs['loss']:.4f}"]
        if "validation_loss" in logs:
            loss = logs["validation_loss"]
            also = f" (perplexity {perplexity(loss):.2f})" if self.nats else ""
            parts.append(f"held-out loss {loss:.4f}{also}")
        known = ("epoch", "step", "loss", "lr", "validation_loss")
        parts += [f"{name} {value:.4f}" for name, value in logs.items() if name not in known]
        text = "  ".join([*parts, f"lr {logs['lr']:.3g}"])
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()

    def _print(self, trainer: Trainer, values: str, elapsed: float) -> None:
        from tqdm import tqdm

        text = tqdm.format_meter(
            trainer.steps_done * trainer.tokens_per_step,
            elapsed=elapsed,
            **self._counts,
            unit=self.unit,
            unit_scale=True,
            bar_format="{percentage:3.0f}% [{elapsed}<{remaining}, {rate_fmt}{postfix}]",
            postfix=values,
        )
        print(text, file=sys.stderr, flush=True)


def held_out_loss(logs: Logs) -> float:
    """Return the validation loss of an epoch, the training loss if there is none."""
    return float(logs["validation_loss"] if "validation_loss" in logs else logs["loss"])


def perplexity(loss: float) -> float:
    """Return exp(loss), inf where that overflows."""
    return math.exp(loss) if loss < 700 else math.inf
