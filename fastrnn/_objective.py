"""A model and its loss as one function of parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _check
from .layers.base import Layer
from .layers.composite import Composite
from .losses import LinearCrossEntropy, Plain

if TYPE_CHECKING:
    from ._typing import Array, State


class ValueAndGrad(Composite):
    """What `value_and_grad` gives: call it for a loss with gradients."""

    def __init__(self, model: Layer, loss: Layer) -> None:
        if not (hasattr(loss, "value_and_grad") and hasattr(loss, "total")):
            raise TypeError(f"loss: expected one of fastrnn.losses, got {_check.describe(loss)}")
        self._compose({"model": model, "loss": loss})

    def _gather(self) -> None:
        super()._gather()
        self.recurrent, self._draws = self.children["model"].recurrent, self.children["model"]._draws

    def __call__(
        self,
        x: Array,
        targets: Array,
        state: State | None = None,
        key: int | None = None,
        step: int = 0,
        grads: Any = None,
    ) -> tuple[float, State | None]:
        """Give the loss, and add the gradients by all parameters into ``self.grads``.

        Parameters
        ----------
        x, targets : ndarray
            As the model and the loss take them.
        state : tuple, optional
            As the model takes it.
        key, step : int
            For the model's dropout.
        grads : ndarray like ``flat_grads``, or mapping like ``grads``, optional
            Add into this instead; no lock is taken.

        Returns
        -------
        loss : float
        state : tuple, or None for a model that is not recurrent
        """
        self._whole()
        model: Any = self.children["model"]
        loss: Any = self.children["loss"]
        if grads is not None:
            self._into(grads)
        if model.recurrent:
            (y, state), pullback = model.vjp(x, state, key=key, step=step)
        else:
            self._no_state(state)
            y, pullback = model.vjp(x, key=key, step=step)
        value, dy = loss.value_and_grad(y, targets, self._part(grads, "loss", loss))
        part = self._part(grads, "model", model)
        if isinstance(loss, (LinearCrossEntropy, Plain)):
            pullback.consume(dy, part)  # they make it anew for every call; who knows what others do
        else:
            pullback(dy, grads=part, want_dx=False)
        return value, state

    def value_and_grad(
        self, x: Array, targets: Array, state: State | None = None, key: int | None = None
    ) -> tuple[float, State | None]:
        """Give the loss and add the gradients, as a call; `Trainer` calls it by this name."""
        return self(x, targets, state, key)

    def loss(self, x: Array, targets: Array, state: State | None = None) -> tuple[float, State | None]:
        """Give the loss without dropout and gradients, and the state."""
        y, state = self._infer(x, state)
        value: float = self.children["loss"](y, targets)  # type: ignore[operator]
        return value, state

    def total(self, x: Array, targets: Array, state: State | None = None) -> tuple[float, int, State | None]:
        """Give the sum of the loss's terms, their number and the state: for a mean over many batches."""
        y, state = self._infer(x, state)
        loss: Any = self.children["loss"]
        return (*loss.total(y, targets), state)

    def _infer(self, x: Array, state: State | None) -> tuple[Array, State | None]:
        self._whole()
        model: Any = self.children["model"]
        if model.recurrent:
            return model(x, state)  # type: ignore[no-any-return]
        self._no_state(state)
        return model(x), None

    @staticmethod
    def _no_state(state: State | None) -> None:
        if state is not None:
            got = _check.describe(state)
            raise ValueError(f"state: expected None for a model that is not recurrent, got {got}")


def value_and_grad(model: Layer, loss: Layer) -> ValueAndGrad:
    """Join a model to a loss.

    Parameters
    ----------
    model : Layer
    loss : Layer
        Such as `losses.LinearCrossEntropy`, whose parameters come after the model's, in one buffer with
        them: give the result to an optimiser.

    Returns
    -------
    callable
        ``f(x, targets, state=None, key=None) -> (loss, state)`` adds the gradients into ``f.grads``, of which
        ``model.grads`` is a part.

    Examples
    --------
    >>> model = fastrnn.Sequential(fastrnn.Embedding(65, 128), fastrnn.LSTM(128, 128))
    >>> f = fastrnn.value_and_grad(model, fastrnn.losses.LinearCrossEntropy(128, 65))
    >>> optimizer = fastrnn.optim.Adam(f)
    >>> loss, state = f(tokens[:-1], tokens[1:])
    >>> norm = optimizer.step(max_norm=1.0)
    """
    return ValueAndGrad(model, loss)
