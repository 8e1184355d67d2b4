"""The state of a `Trainer` in a file, and going on from it."""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any

from fastrnn import _check
from fastrnn import checkpoint as _checkpoint
from fastrnn._resuming import OLDER, describe, parameters_of, same, tuples
from fastrnn.callbacks import Callback

if TYPE_CHECKING:
    import numpy as np

    from fastrnn._team import Alone
    from fastrnn.protocols import State, Trainable
    from fastrnn.schedules import Schedule


# What a file has of every run, beside the settings.
_NEEDED = (
    "epoch",
    "position",
    "steps_done",
    "finished",
    "loss_sum",
    "state",
    "data",
    "optimizer",
    "schedule",
    "callbacks",
    "info",
)


class Resumable:
    """The part of `Trainer` that writes and reads its state."""

    model: Trainable
    optimizer: Any
    schedule: Schedule
    callbacks: list[Callback]
    info: dict[str, Any]
    epoch: int
    position: int
    steps_done: int
    finished: bool
    _state: State
    _loss_sum: float
    _data: dict[str, Any]
    _team: Alone

    def set_parameters(self, values: np.ndarray[Any, Any]) -> None:
        """Copy `values`, shaped as ``model.flat_params``, into the model."""
        self.model.flat_params[...] = values
        self.model.touch()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `state_dict` to one file; see `fastrnn.checkpoint`."""
        _checkpoint.save(path, self.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Return the model and all that a resumed run needs; nothing in it depends on the clock."""
        return {
            "model": describe(self.model) | {"parameters": self.model.flat_params},
            "training": {
                **self._settings(),
                "epoch": self.epoch,
                "position": self.position,
                "steps_done": self.steps_done,
                "finished": self.finished,
                "loss_sum": self._loss_sum,
                "state": self._team.whole(self.steps_done, self._state),
                "data": self._data,
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "callbacks": [[type(c).__name__, c.state_dict()] for c in self._stateful()],
                "info": self.info,
            },
        }

    def _stateful(self) -> list[Callback]:
        """The callbacks that remember something, be it nothing as yet."""
        return [c for c in self.callbacks if type(c).state_dict is not Callback.state_dict]

    def _settings(self) -> dict[str, Any]:
        """What must be the same when a run is resumed."""
        names = ("seed", "max_norm", "clip_value", "accumulate", "epochs")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, tree: dict[str, Any]) -> None:
        """
        Go on where `state_dict` was taken.

        Raises
        ------
        ValueError
            The model, the data or a setting is not that of the checkpoint; the message names it. Nothing is
            changed.
        """
        if not isinstance(tree, dict) or "training" not in tree:
            raise ValueError("checkpoint: expected one of a training run, got one that holds a model only")
        saved = tree["training"]
        _check.names("checkpoint: training", _NEEDED, saved, more=True)
        parameters = parameters_of(self.model, tree)
        for part in ("training", "validation"):
            same(f"{part} data", self._data.get(part), saved["data"][part])
        same(
            "trainer", self._settings(), OLDER | {key: saved[key] for key in self._settings() if key in saved}
        )
        stateful = self._stateful()
        names = [type(c).__name__ for c in stateful]
        same("trainer", {"callbacks": names}, {"callbacks": [name for name, _ in saved["callbacks"]]})
        options = getattr(self.optimizer, "options", None)
        if options is not None and saved["optimizer"].get("kind") == type(self.optimizer).__name__:
            # but for the rate, which is the schedule's
            mine = {name: value for name, value in options.items() if name != "lr"}
            theirs = saved["optimizer"]["options"]
            same("optimizer", mine, {name: theirs[name] for name in theirs if name != "lr"})
        copy.copy(self.schedule).load_state_dict(saved["schedule"])  # raises before anything is changed
        self.optimizer.load_state_dict(saved["optimizer"])
        self.schedule.load_state_dict(saved["schedule"])
        for callback, (_, state) in zip(stateful, saved["callbacks"], strict=True):
            callback.load_state_dict(state)
        self.set_parameters(parameters)
        self._state = self._team.own(tuples(saved["state"]))
        self._loss_sum, self.finished, self.info = saved["loss_sum"], saved["finished"], saved["info"]
        self.epoch, self.position, self.steps_done = saved["epoch"], saved["position"], saved["steps_done"]
