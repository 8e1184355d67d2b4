"""What happens in a training run, for other programs: a CSV file, TensorBoard."""

from __future__ import annotations

import csv
import io
import math
import os
from typing import TYPE_CHECKING, Any

from fastrnn import _check
from fastrnn.callbacks import Callback, Logs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastrnn.training import Trainer


class CSVLogger(Callback):
    """
    Write the logs of every epoch, or of every step, as a line of a CSV file.

    The names in the first line are those of the first logs. A line is in the file when its epoch, or step, is
    over. A resumed run cuts off what was written after its checkpoint and goes on behind it, so that the file
    is that of an unbroken run.

    Parameters
    ----------
    path
        The file. It is replaced unless the run is a resumed one.
    steps
        Log optimiser steps instead of epochs.

    Raises
    ------
    OSError
        When training begins: the file cannot be written.
    ValueError
        Logs with other names than the first; a resumed run whose file is shorter than it was.
    """

    first_only = True

    def __init__(self, path: str | os.PathLike[str], steps: bool = False) -> None:
        self.path, self.steps = os.fspath(path), _check.flag("steps", steps)
        self._names: list[str] = []
        self._length = 0
        self._file: Any = None

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Open the file, behind what the run has written so far."""
        if not trainer.steps_done:
            self._names, self._length = [], 0
        try:
            self._file = open(self.path, "r+b" if self._length else "wb")  # noqa: SIM115 - closed at the end
        except OSError as error:
            raise OSError(error.errno, f"CSVLogger: cannot write {self.path!r}: {error.strerror}") from None
        found = self._file.seek(0, os.SEEK_END)
        if found < self._length:
            self._file.close()
            raise ValueError(
                f"path: expected the {self._length} bytes of the run that goes on, "
                f"got {found} in {self.path!r}"
            )
        self._file.seek(self._length)
        self._file.truncate()

    def on_step_end(self, trainer: Trainer, logs: Logs) -> None:
        """Write a line if steps are logged."""
        if self.steps:
            self._write(logs)

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Write a line unless steps are logged."""
        if not self.steps:
            self._write(logs)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _write(self, logs: Logs) -> None:
        if not self._names:
            self._names = list(logs)
            self._line(self._names)
        if list(logs) != self._names:
            raise ValueError(f"logs: expected {self._names}, as in the first line, got {list(logs)}")
        self._line(logs.values())
        self._file.flush()

    def _line(self, values: Iterable[Any]) -> None:
        text = io.StringIO()
        csv.writer(text).writerow(values)
        self._length += self._file.write(text.getvalue().encode())

    def state_dict(self) -> dict[str, Any]:
        """Return the names and the length of the file."""
        return {"names": self._names, "length": self._length}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on behind what the checkpoint knows of."""
        self._names, self._length = list(state["names"]), int(state["length"])


class TensorBoard(Callback):
    """
    Scalars, histograms and a text for TensorBoard, by tensorboardX (extra ``tensorboard``).

    ``step/loss``, ``step/norm`` and ``step/lr`` every `every` steps; ``epoch/...`` for every number in the
    logs of an epoch, at the step where it ends; the summary of the model as a text. A resumed run hides what
    was written after its checkpoint.

    Parameters
    ----------
    folder
        Where the event files go: ``tensorboard --logdir FOLDER``.
    every
        Steps between scalars.
    histograms
        Also the distributions of all parameters, after each epoch.

    Raises
    ------
    ImportError
        tensorboardX is not installed.
    OSError
        When training begins: the folder cannot be written.
    """

    first_only = True

    def __init__(self, folder: str | os.PathLike[str], every: int = 10, histograms: bool = False) -> None:
        try:
            import tensorboardX  # noqa: F401 - before hours of training, not after them
        except ImportError:
            raise ImportError("TensorBoard: needs tensorboardX; pip install 'fastrnn[tensorboard]'") from None
        self.folder, self.every = os.fspath(folder), _check.integer("every", every, 1)
        self.histograms = _check.flag("histograms", histograms)
        self._writer: Any = None

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Open an event file, and write the summary."""
        from tensorboardX import SummaryWriter

        begin = trainer.steps_done
        try:
            os.makedirs(self.folder, exist_ok=True)
            with open(os.path.join(self.folder, ".writable"), "wb") as probe:
                os.unlink(probe.name)
        except OSError as error:
            raise OSError(
                error.errno, f"TensorBoard: cannot write {self.folder!r}: {error.strerror}"
            ) from None
        # The names of files have a time in seconds, so a run that is resumed within one needs more.
        purge = begin + 1 if begin else None
        self._writer = SummaryWriter(self.folder, purge_step=purge, filename_suffix=f".{begin}")
        if begin == 0 and hasattr(trainer.model, "summary"):
            self._writer.add_text("model", f"```\n{trainer.model.summary()}\n```", 0)

    def on_step_end(self, trainer: Trainer, logs: Logs) -> None:
        """Write the scalars of a step."""
        if logs["step"] % self.every == 0:
            for name in ("loss", "norm", "lr"):
                self._scalar(f"step/{name}", logs[name], logs["step"])

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Write the scalars of an epoch, and the histograms."""
        for name, value in logs.items():
            if name not in ("epoch", "step"):
                self._scalar(f"epoch/{name}", value, logs["step"])
        if self.histograms:
            model: Any = trainer.model
            for name, values in model.params.items():
                self._writer.add_histogram(name, values, logs["step"])
        self._writer.flush()

    def on_fit_end(self, trainer: Trainer) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()

    def _scalar(self, name: str, value: Any, step: int) -> None:
        if isinstance(value, (int, float)) and not math.isnan(value):  # norm is nan where nothing is clipped
            self._writer.add_scalar(name, value, step)
