"""The training loop: steps, epochs, validation, and a state from which a run goes on bit for bit."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastrnn import _check, _core
from fastrnn import checkpoint as _checkpoint
from fastrnn._random import fold
from fastrnn._resuming import (
    OLDER,
    describe,
    diverged,
    fingerprint,
    gradient_norm,
    parameters_of,
    same,
    tuples,
)
from fastrnn.callbacks import Callback, Checkpoint, Logs, held_out_loss
from fastrnn.protocols import Batches, State, Trainable, mask_of
from fastrnn.schedules import Schedule


class Trainer:
    """
    Train a model: forward, backward, clip, update, for the items of the data, epoch by epoch.

    All that happens depends on the seed, the data and the count of steps, never on the clock: a run that
    was stopped and resumed from its checkpoint ends with the same bits as one that was not.

    Parameters
    ----------
    model
        See `Trainable`.
    optimizer
        Of this model; see `fastrnn.optim`.
    max_norm
        Clip the global norm of the gradient to this; None does not clip.
    clip_value
        Clip each element of the gradient into [-clip_value, clip_value], before the norm; None does not.
    accumulate
        Items of the data for one step: the mean of their gradients. The last step of an epoch may have fewer.
    schedule
        Learning rate; None keeps that of the optimiser.
    seed
        Of all randomness during training (dropout masks), together with the step number.
    callbacks
        Run in this order; see `fastrnn.callbacks`.
    checkpoint
        A path to write the training state to, every `checkpoint_every` seconds and at the end; None writes
        none.
    info
        Anything a checkpoint should carry along: numbers, strings, lists and dicts.

    Attributes
    ----------
    epoch, position, steps_done
        Where the run is: finished epochs, items of this epoch, steps of the whole run.
    finished
        All epochs are done, or a callback said that it is enough.
    at_boundary
        Parameters, optimiser and counters are those of a whole number of steps: the state may be saved.
    failed
        The last `fit` ended by an exception.
    """

    def __init__(
        self,
        model: Trainable,
        optimizer: Any,
        *,
        max_norm: float | None = None,
        clip_value: float | None = None,
        accumulate: int = 1,
        schedule: Schedule | None = None,
        seed: int = 0,
        callbacks: Iterable[Callback] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 30.0,
        info: dict[str, Any] | None = None,
    ) -> None:
        if max_norm is not None and not max_norm > 0:
            raise ValueError(f"max_norm: expected a positive number or None, got {max_norm!r}")
        if clip_value is not None and not clip_value > 0:
            raise ValueError(f"clip_value: expected a positive number or None, got {clip_value!r}")
        self.model, self.optimizer, self.max_norm, self.seed = model, optimizer, max_norm, seed
        self.clip_value, self.accumulate = clip_value, _check.integer("accumulate", accumulate, 1)
        self.schedule = schedule if schedule is not None else Schedule(optimizer.lr)
        self.callbacks = list(callbacks)
        self.checkpoint = checkpoint
        if checkpoint is not None:
            self.callbacks.append(Checkpoint(checkpoint, checkpoint_every))
        self.info = dict(info or {})
        self.epoch = self.position = self.steps_done = self.epochs = self.total_steps = (
            self.tokens_per_step
        ) = 0
        self.at_boundary, self.finished, self.failed, self._stopped = True, False, False, False
        self._state: State = None
        self._loss_sum = 0.0
        self._data: dict[str, Any] = {}

    def fit(
        self, data: Batches, epochs: int, validation: Batches | None = None, *, resume: bool = False
    ) -> None:
        """
        Train until `epochs` epochs are done, counted over all resumed parts of a run.

        Parameters
        ----------
        data, epochs
            Training data, one item for each step, and passes over it.
        validation
            Evaluated after each epoch; its loss goes to the schedule and to the callbacks.
        resume
            Go on from the checkpoint instead of beginning.

        Raises
        ------
        ValueError
            `resume` and the checkpoint is damaged, or is of another model, other data or another setting.
        FloatingPointError
            The loss or the gradient is not finite; the last checkpoint stands.
        """
        if len(data) == 0 or epochs < 1:
            raise ValueError(
                f"data, epochs: expected at least one item and one epoch, got {len(data)} and {epochs}"
            )
        self.epochs, self.total_steps = epochs, epochs * -(-len(data) // self.accumulate)
        tokens = getattr(data, "tokens", None)
        per_item = int(np.size(data[0][1])) if tokens is None else round(tokens / len(data))
        self.tokens_per_step = self.accumulate * per_item
        self._data = {"training": fingerprint(data), "validation": fingerprint(validation)}
        if resume:
            if self.checkpoint is None:
                raise ValueError("resume: expected a Trainer with checkpoint=, got none")
            self.load_state_dict(_checkpoint.load(self.checkpoint))
        self._stopped = self.failed = False
        self.model.zero_grad()  # an interrupted step may have left some
        try:
            self._call("on_fit_begin")
            while not (self.finished or self._stopped):
                self._run_epoch(data, validation)
        except BaseException:
            self.failed = True
            raise
        finally:
            self._call("on_fit_end")

    def stop(self, *, finished: bool) -> None:
        """Ask for an end at the next step boundary; not `finished` means that the run may be resumed."""
        self._stopped = True
        self.finished = self.finished or finished

    def evaluate(self, data: Batches) -> float:
        """Return the mean loss over all of `data`; see `evaluate`."""
        return evaluate(self.model, data)

    def _run_epoch(self, data: Batches, validation: Batches | None) -> None:
        carry, shuffle = getattr(data, "carry_state", False), getattr(data, "set_epoch", None)
        if shuffle is not None:
            shuffle(self.epoch)
        while self.position < len(data):
            logs = self._step(data, carry)
            self._call("on_step_end", logs)
            if self._stopped:
                return
        logs = {"epoch": self.epoch, "step": self.steps_done, "loss": self._loss_sum / len(data)}
        logs["lr"] = self.optimizer.lr
        if validation is not None:
            logs["validation_loss"] = self.evaluate(validation)
        self.at_boundary = False
        self.schedule.on_loss(held_out_loss(logs))
        self.epoch, self.position, self._state, self._loss_sum = self.epoch + 1, 0, None, 0.0
        self.finished = self.epoch >= self.epochs
        self._call("on_epoch_end", logs)
        self.at_boundary = True

    def _step(self, data: Batches, carry: bool) -> Logs:
        self.optimizer.lr = lr = self.schedule.lr(self.steps_done, self.epoch)
        before, key = self._state if carry else None, fold(self.seed, self.steps_done)
        items, total = range(self.position, min(self.position + self.accumulate, len(data))), 0.0
        for k in items:
            item, part = data[k], key if k == self.position else fold(key, k - self.position)
            loss, before = self.model.value_and_grad(
                item[0], item[1], before if carry else None, key=part, **mask_of(item)
            )
            total += loss
        loss = total / len(items)
        if not math.isfinite(loss):
            raise diverged(self.model, self.steps_done + 1, loss, gradient_norm(self.model))
        self.at_boundary = False
        norm = self._update(len(items), loss)
        self._state = before if carry else None
        self._loss_sum += total
        self.position += len(items)
        self.steps_done += 1
        self.at_boundary = True
        logs = {"step": self.steps_done, "epoch": self.epoch, "loss": loss, "norm": norm, "lr": lr}
        return logs | {"tokens": self.tokens_per_step}

    def _update(self, items: int, loss: float) -> float:
        """Clip and update; where the norm is not finite, change nothing and raise."""
        model: Any = self.model
        if items > 1:
            model.flat_grads *= model.flat_grads.dtype.type(1 / items)
        if self.clip_value is not None:
            _core.clip_value([model.flat_grads], self.clip_value)
        guard = {} if self.max_norm is None else {"guard": True}
        norm = float(self.optimizer.step(max_norm=self.max_norm, zero_grad=True, **guard))
        if self.max_norm is not None and not math.isfinite(norm):
            raise diverged(model, self.steps_done + 1, loss, norm)
        return norm

    def _call(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self, *args)

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
                "state": self._state,
                "data": self._data,
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "callbacks": [[type(c).__name__, state] for c in self.callbacks if (state := c.state_dict())],
                "info": self.info,
            },
        }

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
        parameters = parameters_of(self.model, tree)
        for part in ("training", "validation"):
            same(f"{part} data", self._data.get(part), saved["data"][part])
        same(
            "trainer", self._settings(), OLDER | {key: saved[key] for key in self._settings() if key in saved}
        )
        stateful = [c for c in self.callbacks if c.state_dict()]
        names = [type(c).__name__ for c in stateful]
        same("trainer", {"callbacks": names}, {"callbacks": [name for name, _ in saved["callbacks"]]})
        self.schedule.load_state_dict(saved["schedule"])
        self.optimizer.load_state_dict(saved["optimizer"])
        for callback, (_, state) in zip(stateful, saved["callbacks"], strict=True):
            callback.load_state_dict(state)
        self.set_parameters(parameters)
        self._state = tuples(saved["state"])
        self._loss_sum, self.finished, self.info = saved["loss_sum"], saved["finished"], saved["info"]
        self.epoch, self.position, self.steps_done = saved["epoch"], saved["position"], saved["steps_done"]


def evaluate(model: Trainable, data: Batches) -> float:
    """Return the mean loss over all targets of `data` that are not ignored, in nats, without dropout."""
    carry, state = getattr(data, "carry_state", False), None
    total, count = 0.0, 0
    for k in range(len(data)):
        x, targets = data[k][:2]
        part, terms, state = model.total(x, targets, state if carry else None, **mask_of(data[k]))
        total, count = total + part, count + terms
    return total / count
