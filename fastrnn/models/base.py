"""What the models share: training, saving and loading."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _check, _training_options, checkpoint, layers, optim
from fastrnn._stored import described
from fastrnn.callbacks import Callback, EarlyStopping, History, ProgressBar, Score
from fastrnn.layers.composite import Composite
from fastrnn.schedules import Cosine, Schedule
from fastrnn.training import Trainer

if TYPE_CHECKING:
    from typing_extensions import Self

    from fastrnn.protocols import Batches

CELLS = {name: getattr(layers, name) for name in layers.cells.__all__}


class Model(Composite):
    """
    A model of layers with `fit`, `evaluate`, `predict`, `save`, `load` and `summary`.

    A subclass has ``value_and_grad`` and ``total`` (see `fastrnn.protocols.Trainable`), ``describe``, which
    says all but the parameters, and ``_build``, which makes an untrained model of that. `frozen` names
    parameters that training leaves as they are.
    """

    frozen: tuple[str, ...] = ()
    _lr = 2e-3  # of Adam
    _nats = True  # the loss is a negative log-likelihood

    def train(
        self,
        data: Batches,
        held_out: Batches | None,
        *,
        epochs: int = 20,
        lr: float | None = None,
        schedule: Schedule | None = None,
        optimizer: Any = None,
        max_norm: float | None = 1.0,
        clip_value: float | None = None,
        accumulate: int = 1,
        patience: int | None = None,
        score: tuple[str, Callable[[], float]] | None = None,
        seed: int = 0,
        callbacks: Iterable[Callback] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 30.0,
        resume: bool = False,
        progress: bool = True,
        info: dict[str, Any] | None = None,
        distributed: Any = False,
        compute: str | None = None,
        unit: str = "token",
    ) -> History:
        """
        Train on batches; what `fit` does with the batches that it has made.

        Parameters
        ----------
        data, held_out
            See `Trainer.fit`. With `held_out` the parameters of the best epoch are kept.
        lr, schedule, optimizer
            By default Adam, with a rate that rises over 1 % of the steps to `lr` and falls to zero along a
            cosine. A `schedule` takes the place of `lr`, an `optimizer` (of this model) that of Adam. `lr` is
            by default that of the `optimizer`; of Adam 2e-3, for a `LanguageModel` 4e-3.
        patience
            Stop after that many epochs that are no better than the best; None goes through all of them.
        score
            A name and a function that gives a number after each epoch: the epoch where it is largest is the
            best, instead of that of the smallest loss.
        progress
            Show a bar on stderr; `unit` is what a target is called there.
        max_norm, clip_value, accumulate, seed, callbacks, checkpoint, checkpoint_every, info, distributed
        compute
            See `Trainer`.
        resume
            See `Trainer.fit`.

        Returns
        -------
        History
            Losses and scores by epoch.
        """
        epochs = _check.integer("epochs", epochs, 1)
        accumulate = _check.integer("accumulate", accumulate, 1)
        if patience is not None and held_out is None:
            raise ValueError(f"patience: expected None without validation_data, got {patience!r}")
        if optimizer is None:
            optimizer = optim.Adam(self, lr=self._lr, frozen=self.frozen)
        _training_options.optimizer(self, optimizer)
        for name in self.frozen:
            if name not in optimizer.frozen:
                raise ValueError(
                    f"optimizer: expected one with {name!r} frozen, as in the model, got it trained"
                )
        rate = optimizer.lr
        if schedule is None:
            total = epochs * -(-len(data) // accumulate)
            schedule = Cosine(rate if lr is None else lr, total, warmup=total // 100)
        history = History()
        own: list[Callback] = []
        if score is not None:
            own.append(Score(*score))
        if held_out is not None:
            own.append(EarlyStopping(patience, monitor=None if score is None else score[0]))
        own.append(history)
        if progress:
            own.append(ProgressBar(unit, self._nats))
        trainer = Trainer(
            self,
            optimizer,
            max_norm=max_norm,
            clip_value=clip_value,
            accumulate=accumulate,
            schedule=schedule,
            seed=seed,
            callbacks=[*own, *_training_options.callbacks(callbacks)],
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            info=info,
            distributed=distributed,
            compute=compute,
        )
        try:
            trainer.fit(data, epochs, held_out, resume=resume)
        finally:
            # What the schedule has changed, for the next run with this optimiser.
            optimizer.lr, optimizer.group_scale = rate, 1.0
        return history

    def value_and_grad(
        self, x: Any, targets: Any, state: Any = None, key: int | None = None
    ) -> tuple[float, Any]:
        """Return the mean loss and the state to carry on; add the gradients to ``self.grads``."""
        raise NotImplementedError

    def total(self, x: Any, targets: Any, state: Any = None) -> tuple[float, int, Any]:
        """Return the sum of the losses without dropout, their number, and the state to carry on."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """Return all of the model but its parameters, as a checkpoint holds it."""
        raise NotImplementedError

    @classmethod
    def _build(cls, model: dict[str, Any]) -> Self:
        """An untrained model that `describe` would describe so."""
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file; see `fastrnn.checkpoint`."""
        checkpoint.save(path, {"model": self.describe() | {"parameters": self.flat_params}})

    @classmethod
    def load(cls, path: str | os.PathLike[str], **parts: Any) -> Self:
        """
        Read a model that `save` or the checkpoints of a training run wrote.

        `parts` are layers that the file has no description of, of a model that was made with some.

        Raises OSError or ValueError as `fastrnn.checkpoint.load`, ValueError also for another kind of model.
        """
        return cls.from_saved(checkpoint.load(path), **parts)

    @classmethod
    def from_saved(cls, tree: Any, **parts: Any) -> Self:
        """Build the model that ``tree["model"]`` describes."""
        name = cls.__name__
        model = described(tree, name)
        try:
            made = cls._build(model, **parts)
            parameters = model["parameters"]
            matches = (parameters.shape, parameters.dtype) == (made.flat_params.shape, made.flat_params.dtype)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"checkpoint: expected the parts of a {name}, got none for {error}") from None
        if not matches:
            raise ValueError(
                f"checkpoint: expected {made.flat_params.size} parameters of {made.flat_params.dtype}, "
                f"got {parameters.size} of {parameters.dtype}"
            )
        made.flat_params[:] = parameters
        return made


def recurrent_layer(cell: str, width: int, hidden: int, levels: int, **options: Any) -> Any:
    """A recurrent layer by the name of its class."""
    return CELLS[_check.choice("cell", cell, tuple(CELLS))](width, hidden, num_layers=levels, **options)


def optional_layer(
    cell: str | None,
    width: int,
    hidden: int,
    levels: int,
    *,
    bidirectional: bool,
    cell_options: dict[str, Any] | None,
    **options: Any,
) -> tuple[list[Any], int]:
    """The recurrent layer of a model that may have none, and how wide the output is then."""
    if cell is not None:
        options |= own_options(cell_options, "bidirectional")
        both = _check.flag("bidirectional", bidirectional)
        layer = recurrent_layer(cell, width, hidden, levels, bidirectional=both, **options)
        return [layer], layer.output_size * layer.directions
    if levels != 1:
        raise ValueError(f"num_layers: expected 1 because cell is None, got {levels!r}")
    if cell_options:
        raise ValueError(f"cell_options: expected none because cell is None, got {cell_options!r}")
    return [], width


def own_options(given: dict[str, Any] | None, *decided: str) -> dict[str, Any]:
    """Options of a recurrent layer, none of those that the model decides on."""
    options = dict(given or {})
    sizes = ("input_size", "hidden_size", "num_layers")
    for name in (*sizes, "batch_first", "dtype", "seed", "dropout", *decided):
        if name in options:
            raise ValueError(
                f"cell_options: expected no {name} because the model decides on it, got {options[name]!r}"
            )
    return options


def validation_pair(given: Any) -> tuple[Any, Any]:
    """The two parts of `validation_data`."""
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise TypeError(f"validation_data: expected a pair (x, y), got {_check.describe(given)}")
    return _check.items(given[0]), _check.items(given[1])


def probabilities(logits: Any) -> Any:
    """Softmax over the last axis, in float64."""
    e = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_probabilities(logits: Any) -> Any:
    """Logarithm of `probabilities`."""
    z = logits.astype(np.float64)
    z -= z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
