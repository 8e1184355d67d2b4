"""A `Trainer` of one process among many: shares of the batch, sums of gradients, a common end."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import checkpoint as _checkpoint
from fastrnn._objective import ValueAndGrad
from fastrnn._random import fold
from fastrnn._resuming import describe, fingerprint, same
from fastrnn._team import Alone
from fastrnn.data import IGNORED
from fastrnn.protocols import mask_of

from ._connect import group_of
from ._group import PeerError

if TYPE_CHECKING:
    from fastrnn.protocols import Batches, State
    from fastrnn.training import Trainer

_STOP, _END, _WRITE, _AT, _COUNTS = range(5)  # places in what processes tell before a step


class Team(Alone):
    """What `fastrnn._team.Alone` is, for the processes of a group.

    Parameters
    ----------
    group : Group or True
        True: connect to what the environment says.
    """

    def __init__(self, group: Any) -> None:
        self.group = group_of(group)
        self.rank, self.size = self.group.rank, self.group.size
        self._agreed = self._due = self._carries = False
        self._whole: tuple[int, State] = (-1, None)
        self._shares: list[float] = []

    def resume(self, asked: bool) -> None:
        """See that all begin, or all go on."""
        told = int(self.group.sum(np.array([asked], np.int64))[0])
        if 0 < told < self.size:
            raise ValueError(
                f"resume: expected the same in all {self.size} processes, got True in {told} of them and "
                f"{asked} in process {self.rank}: do they see the same files?"
            )

    def fingerprint(self, data: Batches | None) -> Any:
        """What tells data from other data; None of data that each process has of its own."""
        return fingerprint(data) if hasattr(data, "part") else None

    def part(self, data: Batches | None) -> Any:
        """Rows of this process; data without a method `part` are those already."""
        cut = getattr(data, "part", None)
        self._carries = self._carries or getattr(data, "carry_state", False)
        return data if cut is None else cut(self.rank, self.size)

    def load(self, path: Any) -> Any:
        """Process 0 reads the file, for all."""
        raw = None
        with self.group.together("reading the checkpoint"):
            if self.rank == 0:
                _checkpoint.load(path)
                with open(path, "rb") as file:
                    raw = file.read()
        return _checkpoint.parse(self.group.bytes(raw), str(path))

    def begin(self, trainer: Trainer, items: int) -> None:
        """See that all train the same, and give them the parameters of process 0."""
        self._agreed = self._due = False
        mine = {
            "model": describe(trainer.model),
            "trainer": {**trainer._settings(), "items": items, "steps_done": trainer.steps_done},
            "optimizer": _settings(trainer.optimizer),
            "schedule": _settings(trainer.schedule),
            "data": trainer._data,
        }
        sent = json.dumps(mine, default=lambda array: array.tolist()).encode()
        mine, theirs = json.loads(sent), json.loads(self.group.bytes(sent))
        with self.group.together("comparing the runs"):
            try:
                same("this process", mine, theirs)
            except ValueError as error:
                text = str(error).replace("in the checkpoint", "in process 0")
                raise ValueError(f"distributed: process {self.rank} of {self.size}: {text}") from None
        values = trainer.model.flat_params.copy()
        trainer.set_parameters(self.group.broadcast(values))
        if self._carries:
            self._gather(trainer)

    def own(self, state: State) -> State:
        """Rows of this process: those that a part of `Streams` has."""
        self._whole = (-1, state)
        return _leaves(state, lambda a: np.array_split(a, self.size, axis=1)[self.rank].copy())

    def whole(self, step: int, state: State) -> State:
        """The state as it was gathered at this step; PeerError at a moment when it was not."""
        if state is None:
            return None
        at, gathered = self._whole
        if at != step:
            raise PeerError("distributed: expected to save when all processes do, got a moment between")
        return gathered

    def _gather(self, trainer: Trainer) -> None:
        """Every process brings the state of its rows; one without rows brings none."""
        mine = trainer._state

        def joined(place: int, a: Any) -> Any:
            flat = self.group.gather(np.ascontiguousarray(np.moveaxis(a, 1, 0)).reshape(-1))
            rows = [part.reshape(-1, a.shape[0], a.shape[2]) for part in flat]
            return np.ascontiguousarray(np.moveaxis(np.concatenate(rows), 0, 1))

        leaves: list[Any] = []
        _leaves(mine, leaves.append)
        # The processes first tell how many leaves there are, and of which sizes.
        known = self.group.gather(np.array([n for a in leaves for n in (a.shape[0], a.shape[2])], np.int64))
        most = max(known, key=len)
        if not len(most):
            self._whole = (trainer.steps_done, None)
            return
        dtype = trainer.model.flat_params.dtype
        empty = [np.zeros((most[k], 0, most[k + 1]), dtype) for k in range(0, len(most), 2)]
        found = iter([joined(k, a) for k, a in enumerate(leaves or empty)])
        self._whole = (trainer.steps_done, None if mine is None else _leaves(mine, lambda a: next(found)))

    def meet(self, trainer: Trainer, items: list[Any]) -> list[float] | None:
        """Tell how many targets of each item are here, and what is asked for; hear it of all."""
        told = np.zeros(_COUNTS + len(items))
        told[_STOP], told[_END] = trainer._asked, trainer.finished
        if self.rank == 0:
            told[_WRITE] = any(c.due() for c in trainer.callbacks if hasattr(c, "due"))
        told[_AT] = trainer.steps_done
        mine = [float(terms(trainer.model, item)) for item in items]
        told[_COUNTS:] = mine
        self.group.sum(told)
        if told[_AT] != self.size * trainer.steps_done:
            raise PeerError(f"distributed: expected all processes at step {trainer.steps_done}, got others")
        if self._settle(trainer, told):
            if self._carries:
                self._gather(trainer)
            return None
        self._due = bool(told[_WRITE])
        pairs = zip(mine, told[_COUNTS:].tolist(), strict=True)
        return [self._weight(trainer, here, in_all) for here, in_all in pairs]

    @staticmethod
    def _weight(trainer: Trainer, here: float, in_all: float) -> float:
        loss: Any = getattr(trainer.model, "children", {}).get("loss")
        summed = getattr(loss, "reduction", "mean") == "sum"
        return float(here > 0) if summed else here / max(in_all, 1.0)

    def _settle(self, trainer: Trainer, told: Any) -> bool:
        self._agreed = bool(told[_STOP])
        trainer.finished = bool(told[_END])
        return self._agreed

    def stopped(self, asked: bool) -> bool:
        """Whether all have heard that one asked."""
        return self._agreed

    def agree(self, trainer: Trainer) -> None:
        """Hear at the end of an epoch whether to stop; see that the parameters are the same everywhere."""
        digest = hashlib.sha256(np.ascontiguousarray(trainer.model.flat_params).data).digest()
        told = np.zeros(2 + self.size, np.int64)
        told[_STOP], told[_END] = trainer._asked, trainer.finished
        told[2 + self.rank] = int.from_bytes(digest[:7], "little")
        self.group.sum(told)
        self._settle(trainer, told)
        if len(set(told[2:].tolist())) > 1:
            raise PeerError(
                f"distributed: expected equal parameters on {self.size} processes after step "
                f"{trainer.steps_done}, got others: something but the Trainer has changed them"
            )

    def writes(self, due: bool) -> bool:
        """Whether all have agreed before the step that a checkpoint is due."""
        return self._due

    def key(self, seed: int, step: int) -> int:
        """Masks of a row depend on its place in this process's part: other keys give other masks."""
        return fold(seed, step) if self.rank == 0 else fold(fold(seed, -self.rank), step)

    def sum(self, *numbers: float) -> tuple[float, ...]:
        """Sum numbers over the processes."""
        return tuple(self.group.sum(np.array(numbers, np.float64)).tolist())

    def reduce(self, trainer: Trainer) -> None:
        """Sum the gradients, in place; gather the state where a checkpoint is due."""
        model: Any = trainer.model
        self.group.sum(model.flat_grads)

    def after(self, trainer: Trainer) -> None:
        """Gather the state where a checkpoint is due."""
        if self._due and self._carries:
            self._gather(trainer)


def _settings(of: Any) -> dict[str, Any]:
    """The class of an optimiser or schedule, and its numbers."""
    public = {k: v for k, v in vars(of).items() if k[0] != "_" and isinstance(v, bool | int | float | str)}
    return {"class": type(of).__name__, **getattr(of, "options", {}), **public}


def terms(model: Any, item: tuple[Any, ...]) -> int:
    """How many targets of an item count; the mean of a loss is over a multiple of that."""
    targets, mask = np.asarray(item[1]), mask_of(item).get("mask")
    if isinstance(model, ValueAndGrad) and hasattr(model.children["loss"], "_terms"):
        return model._terms(item[0], targets, mask)
    if mask is not None:
        return int(np.count_nonzero(mask))
    return int(np.count_nonzero(targets != IGNORED)) if targets.dtype.kind in "iu" else int(targets.size)


def _leaves(state: Any, change: Any) -> Any:
    """Change the arrays of a state, each [levels, B, width]."""
    if state is None:
        return None
    if isinstance(state, tuple | list):
        return tuple([_leaves(part, change) for part in state])
    if not isinstance(state, np.ndarray) or state.ndim != 3:
        raise TypeError("distributed: expected a state of arrays [levels, B, width] to carry, got another")
    return change(state)
