"""The training loop: steps, epochs, validation, and a state from which a run goes on bit for bit."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastrnn import _check, _core
from fastrnn import _training_options as _options
from fastrnn._random import fold
from fastrnn._resumable import Resumable
from fastrnn._resuming import diverged, gradient_norm
from fastrnn.callbacks import Callback, Checkpoint, Logs, held_out_loss
from fastrnn.protocols import Batches, State, Trainable, mask_of
from fastrnn.schedules import Schedule


class Trainer(Resumable):
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
    compute
        What the products of the model are computed in from now on: ``"bfloat16"``, or ``"float32"``. None
        leaves that as it is. See ``Layer.set_compute``; a run may be resumed with another.
    distributed
        True, or a `fastrnn.distributed.Group`: one process of many, which share the rows of every item. See
        ``docs/distributed.md``.

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
        distributed: Any = False,
        compute: str | None = None,
    ) -> None:
        if compute is not None:
            _options.set_compute(model, compute)
        self.model, self.optimizer = model, _options.optimizer(model, optimizer)
        self.max_norm, self.clip_value = (
            _options.limit("max_norm", max_norm),
            _options.limit("clip_value", clip_value),
        )
        self.accumulate, self.seed = _check.integer("accumulate", accumulate, 1), _check.integer("seed", seed)
        self.schedule = _options.schedule(schedule, optimizer.lr)
        self.callbacks = _options.callbacks(callbacks)
        self.checkpoint = _options.path("checkpoint", checkpoint)
        if self.checkpoint is not None:
            writer = Checkpoint(self.checkpoint, checkpoint_every)
            self.callbacks.append(writer)
            self.checkpoint = writer.path
        self.info = _options.info(info)
        self.epoch = self.position = self.steps_done = self.epochs = self.total_steps = (
            self.tokens_per_step
        ) = 0
        self.at_boundary, self.finished, self.failed, self._asked = True, False, False, False
        self._team = _options.team(distributed)
        self._state: State = None
        self._loss_sum = 0.0
        self._data: dict[str, Any] = {}

    def fit(
        self, data: Batches, epochs: int, validation: Batches | None = None, *, resume: bool = False
    ) -> None:
        """
        Train until `epochs` epochs are done, counted over all calls and all resumed parts of a run.

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
        fastrnn.distributed.PeerError
            A process of a distributed run was lost; the last checkpoint stands.
        """
        epochs = _check.integer("epochs", epochs)
        _options.items(data)
        if len(data) == 0 or epochs < 1:
            raise ValueError(
                f"data, epochs: expected at least one item and one epoch, got {len(data)} and {epochs}"
            )
        self.epochs, self.total_steps = epochs, epochs * -(-len(data) // self.accumulate)
        tokens = getattr(data, "tokens", None)
        per_item = int(np.size(data[0][1])) if tokens is None else round(tokens / len(data))
        self.tokens_per_step = self.accumulate * per_item
        describe = self._team.fingerprint
        self._data = {"training": describe(data), "validation": describe(validation)}
        if resume and self.checkpoint is None:
            raise ValueError("resume: expected a Trainer with checkpoint=, got none")
        self._team.resume(resume)
        self.finished = self.epoch >= epochs  # as far as `fit` has come before, with fewer of them
        if resume:
            self.load_state_dict(self._team.load(self.checkpoint))
        self._asked = self.failed = False
        data, validation = self._team.part(data), self._team.part(validation)
        self._team.begin(self, len(data))
        self.model.zero_grad()  # an interrupted step may have left some
        try:
            self._call("on_fit_begin")
            while not (self.finished or self._team.stopped(self._asked)):
                self._run_epoch(data, validation)
        except BaseException as error:
            self.failed = True
            if isinstance(error, FloatingPointError):
                self.at_boundary = False  # parameters that have diverged are not worth keeping
            raise
        finally:
            self._call("on_fit_end")

    def stop(self, *, finished: bool) -> None:
        """Ask for an end at the next step boundary; not `finished` means that the run may be resumed."""
        self._asked = True
        self.finished = self.finished or finished

    def average(self, value: float) -> float:
        """Return the mean of a number over the processes of a distributed run; itself where there is one."""
        return self._team.sum(value)[0] / self._team.size

    def evaluate(self, data: Batches) -> float:
        """Return the mean loss over all of `data`; see `evaluate`."""
        return evaluate(self.model, data)

    def _run_epoch(self, data: Batches, validation: Batches | None) -> None:
        carry, shuffle = getattr(data, "carry_state", False), getattr(data, "set_epoch", None)
        if shuffle is not None:
            shuffle(self.epoch)
        while self.position < len(data):
            items = [data[k] for k in range(self.position, min(self.position + self.accumulate, len(data)))]
            shares = self._team.meet(self, items)
            if shares is None:
                return
            logs = self._step(items, shares, carry)
            self._call("on_step_end", logs)
            if self._team.stopped(self._asked):
                return
        logs = {"epoch": self.epoch, "step": self.steps_done, "loss": self._loss_sum / len(data)}
        logs["lr"] = self.optimizer.lr
        if validation is not None:
            logs["validation_loss"] = _mean("validation", *self._team.sum(*_totals(self.model, validation)))
        self.at_boundary = False
        self.schedule.on_loss(held_out_loss(logs))
        self.epoch, self.position, self._state, self._loss_sum = self.epoch + 1, 0, None, 0.0
        self.finished = self.epoch >= self.epochs
        self._call("on_epoch_end", logs)
        self._team.agree(self)
        self.at_boundary = True

    def _step(self, items: list[Any], shares: list[float], carry: bool) -> Logs:
        self.optimizer.lr = lr = self.schedule.lr(self.steps_done, self.epoch)
        self.optimizer.group_scale = lr / self.schedule.base
        model: Any = self.model
        before, key = self._state if carry else None, self._team.key(self.seed, self.steps_done)
        total, scale = 0.0, 0.0
        for k, (item, share) in enumerate(zip(items, shares, strict=True)):
            if not share:
                if carry and np.size(item[1]):
                    before = self._pass_on(item, before, key if k == 0 else fold(key, k))
                continue
            if scale and share != scale:
                model.flat_grads *= model.flat_grads.dtype.type(scale / share)
            scale = share
            loss, before = self.model.value_and_grad(
                item[0],
                item[1],
                before if carry else None,
                key=key if k == 0 else fold(key, k),
                **mask_of(item),
            )
            total += share * loss
        total = self._team.sum(total)[0]
        loss = total / len(items)
        if not math.isfinite(loss):
            raise diverged(self.model, self.steps_done + 1, loss, gradient_norm(self.model))
        self.at_boundary = False
        norm = self._update(scale / len(items), loss)
        self._state = before if carry else None
        self._loss_sum += total
        self.position += len(items)
        self.steps_done += 1
        self._team.after(self)
        self.at_boundary = True
        logs = {"step": self.steps_done, "epoch": self.epoch, "loss": loss, "norm": norm, "lr": lr}
        return logs | {"tokens": self.tokens_per_step}

    def _pass_on(self, item: Any, before: State, key: int) -> State:
        """The state after an item that has rows, but no target that counts: nothing is learned of it."""
        model: Any = self.model
        kept = model.flat_grads.copy()
        _, after = self.model.value_and_grad(item[0], item[1], before, key=key, **mask_of(item))
        model.flat_grads[...] = kept
        return after

    def _update(self, scale: float, loss: float) -> float:
        """Clip and update; where the norm is not finite, change nothing and raise."""
        model: Any = self.model
        if scale not in (0, 1):
            model.flat_grads *= model.flat_grads.dtype.type(scale)
        self._team.reduce(self)
        if self.clip_value is not None:
            _core.clip_value([model.flat_grads], self.clip_value)
        norm = float(self.optimizer.step(max_norm=self.max_norm, zero_grad=True, guard=True))
        if not math.isfinite(norm):
            raise diverged(model, self.steps_done + 1, loss, norm)
        return norm

    def _call(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            if self._team.rank == 0 or not callback.first_only:
                getattr(callback, hook)(self, *args)


def evaluate(model: Trainable, data: Batches) -> float:
    """
    Return the mean loss over all targets of `data` that are not ignored, in nats, without dropout.

    Raises ValueError where there is no such target.
    """
    return _mean("data", *_totals(model, data))


def _mean(name: str, total: float, count: float) -> float:
    if not count:
        raise ValueError(f"{name}: expected at least one target that counts, got none")
    return total / count


def _totals(model: Trainable, data: Batches) -> tuple[float, int]:
    carry, state = getattr(data, "carry_state", False), None
    total, count = 0.0, 0
    for k in range(len(data)):
        x, targets = data[k][:2]
        if np.size(targets):  # a process of many may have no rows
            part, terms, state = model.total(x, targets, state if carry else None, **mask_of(data[k]))
            total, count = total + part, count + terms
    return total, count
