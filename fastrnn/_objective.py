"""A model and its loss as one function of parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _check
from ._plain_loss import Plain
from .layers.base import Layer
from .layers.composite import Composite
from .layers.ragged import apart
from .losses import MSE, LinearCrossEntropy

if TYPE_CHECKING:
    from ._truncated import Truncated
    from ._typing import Array, Arrays, State


class ValueAndGrad(Composite):
    """What `value_and_grad` gives: call it for a loss with gradients."""

    def __init__(self, model: Layer, loss: Layer, tbptt: tuple[int, int] | None = None) -> None:
        if not (hasattr(loss, "value_and_grad") and hasattr(loss, "total")):
            raise TypeError(f"loss: expected one of fastrnn.losses, got {_check.describe(loss)}")
        self._compose({"model": model, "loss": loss})
        self._truncated: Truncated | None = None
        if tbptt is not None:
            from ._truncated import Truncated

            self._truncated = Truncated(tbptt, model, loss)

    @property
    def tbptt(self) -> tuple[int, int] | None:
        """(k1, k2) as given to `value_and_grad`."""
        return None if self._truncated is None else self._truncated.steps

    def describe(self) -> dict[str, Any]:
        """Give all of it but its parameters, as a checkpoint holds it."""
        layers = {name: _options_of(leaf) for name, leaf in self._leaves()}
        return {"kind": "ValueAndGrad", "layers": layers, "tbptt": self.tbptt}

    def _gather(self) -> None:
        super()._gather()
        self.recurrent, self._draws = self.children["model"].recurrent, self.children["model"]._draws

    def __call__(
        self,
        x: Arrays,
        targets: Array,
        state: State | None = None,
        key: int | None = None,
        step: int = 0,
        grads: Any = None,
        mask: Array | None = None,
        lengths: Any = None,
    ) -> tuple[float, State | None]:
        """Give the loss, and add the gradients by all parameters into ``self.grads``.

        Parameters
        ----------
        x, targets : ndarray
            As the model and the loss take them: x is a tuple for a model of several inputs, such as `Inputs`.
            `batches.Rows`, as `PaddedBatches` has them, are an input with the lengths of its rows.
        state : tuple, optional
            As the model takes it.
        key, step : int
            For the model's dropout.
        grads : ndarray like ``flat_grads``, or mapping like ``grads``, optional
            Add into this instead; no lock is taken.
        mask : bool ndarray, optional
            Which outputs count, as the loss takes it.
        lengths : array of int, [B], optional
            Of the rows, as the model takes them. Where it gives an output for each step of x, those past the
            end of a row do not count; a loss that is not of `fastrnn.losses`, or a model of several inputs,
            needs a mask for that.

        Returns
        -------
        loss : float
        state : tuple, or None for a model that is not recurrent
        """
        self._whole()
        x, lengths = apart(x, lengths)
        if grads is not None:
            self._into(grads)

        def run(
            x: Arrays,
            targets: Array,
            mask: Array | None,
            state: State | None,
            first: int,
            weight: float | None,
        ) -> tuple[float, State | None]:
            return self._run(x, targets, state, key, step + first, grads, mask, weight, lengths)

        def forward(x: Arrays, state: State | None, first: int) -> State:
            model: Any = self.children["model"]
            (_, state), _ = model.vjp(x, state, key=key, step=step + first)  # with the masks of training
            return state

        if self._truncated is None:
            return run(x, targets, mask, state, 0, None)
        if lengths is not None:
            raise ValueError(f"lengths: expected None because tbptt is {self.tbptt}, got some")
        return self._truncated(run, forward, x, targets, mask, state)

    def _run(
        self,
        x: Arrays,
        targets: Array,
        state: State | None,
        key: int | None,
        step: int,
        grads: Any,
        mask: Array | None,
        scale: float | None,
        lengths: Any,
    ) -> tuple[float, State | None]:
        """Forward and back over all of x; with tbptt the targets may be of the last steps alone."""
        model: Any = self.children["model"]
        loss: Any = self.children["loss"]
        rows = self._rows(lengths)
        if model.recurrent:
            (y, state), pullback = model.vjp(x, state, key=key, step=step, **rows)
        else:
            self._no_state(state)
            y, pullback = model.vjp(x, key=key, step=step, **rows)
        scored = y if self._truncated is None else self._truncated.last(y, targets)
        options = _given(mask=self._counted(x, y.shape, mask, lengths), scale=scale)
        value, dy = loss.value_and_grad(scored, targets, self._part(grads, "loss", loss), **options)
        if self._truncated is not None and scored is not y:
            last, dy = dy, np.zeros_like(y)
            self._truncated.last(dy, targets)[...] = last
        part = self._part(grads, "model", model)
        if isinstance(loss, (LinearCrossEntropy, Plain)):
            pullback.consume(dy, part)  # they make it anew for every call; who knows what others do
        else:
            pullback(dy, grads=part, want_dx=False)
        return value, state

    def value_and_grad(
        self,
        x: Arrays,
        targets: Array,
        state: State | None = None,
        key: int | None = None,
        mask: Array | None = None,
        lengths: Any = None,
    ) -> tuple[float, State | None]:
        """Give the loss and add the gradients, as a call; `Trainer` calls it by this name."""
        return self(x, targets, state, key, mask=mask, lengths=lengths)

    def loss(
        self,
        x: Arrays,
        targets: Array,
        state: State | None = None,
        mask: Array | None = None,
        lengths: Any = None,
    ) -> tuple[float, State | None]:
        """Give the loss without dropout and gradients, and the state."""
        y, state, options = self._infer(x, state, mask, lengths)
        loss: Any = self.children["loss"]
        return float(loss(y, targets, **options)), state

    def total(
        self,
        x: Arrays,
        targets: Array,
        state: State | None = None,
        mask: Array | None = None,
        lengths: Any = None,
    ) -> tuple[float, int, State | None]:
        """Give the sum of the loss's terms, their number and the state: for a mean over many batches."""
        y, state, options = self._infer(x, state, mask, lengths)
        loss: Any = self.children["loss"]
        return (*loss.total(y, targets, **options), state)

    def _infer(
        self, x: Arrays, state: State | None, mask: Array | None, lengths: Any
    ) -> tuple[Array, State | None, dict[str, Any]]:
        """The outputs without dropout, the state, and the options of the loss."""
        self._whole()
        x, lengths = apart(x, lengths)
        model: Any = self.children["model"]
        rows = self._rows(lengths)
        if model.recurrent:
            y, state = model(x, state, **rows)
        else:
            self._no_state(state)
            y = model(x, **rows)
        return y, state, _given(mask=self._counted(x, y.shape, mask, lengths))

    def _terms(self, x: Any, targets: Array, mask: Array | None) -> int:
        """How many terms the loss of these has."""
        x, lengths = apart(x, None)
        loss: Any = self.children["loss"]
        shape = targets.shape if isinstance(loss, MSE) else (*targets.shape, 0)
        return loss._terms(targets, self._counted(x, shape, mask, lengths))  # type: ignore[no-any-return]

    def _counted(self, x: Any, shape: tuple[int, ...], mask: Array | None, lengths: Any) -> Array | None:
        """What the mask leaves of the steps that rows have, where y, of that shape, has one for each of x."""
        if lengths is None or not isinstance(self.children["loss"], (LinearCrossEntropy, Plain)):
            return mask
        if len(shape) < 3 or shape[:2] != getattr(x, "shape", ())[:2]:
            return mask
        there = np.arange(shape[0])[:, None] < np.asarray(lengths)
        if getattr(self.children["model"], "batch_first", False):
            there = np.arange(shape[1]) < np.asarray(lengths)[:, None]
        if mask is None:
            return there
        if mask.dtype != bool or mask.shape != shape[: mask.ndim]:
            return mask  # which the loss refuses
        whole = mask.reshape(*mask.shape, *[1] * (2 - mask.ndim))
        return np.logical_and(whole, there.reshape(*there.shape, *[1] * (mask.ndim - 2)))

    def _rows(self, lengths: Any) -> dict[str, Any]:
        """Lengths as an argument for the model, if there are any."""
        if lengths is None:
            return {}
        if not self.children["model"]._ragged:
            raise ValueError("lengths: expected None for a model that is not recurrent, got some")
        return {"lengths": lengths}

    @staticmethod
    def _no_state(state: State | None) -> None:
        if state is not None:
            got = _check.describe(state)
            raise ValueError(f"state: expected None for a model that is not recurrent, got {got}")


def _options_of(layer: Layer) -> dict[str, Any]:
    """The class of a layer, and what it was made with."""
    plain = (bool, int, float, str, type(None))
    found = {
        name: value
        for name, value in vars(layer).items()
        if not name.startswith("_")
        and (
            isinstance(value, plain)
            or (isinstance(value, tuple) and all(isinstance(v, plain) for v in value))
        )
    }
    return {"class": type(layer).__name__, **found}


def _given(**options: Any) -> dict[str, Any]:
    """What is not None: a loss of one's own need not know of what is never used."""
    return {name: value for name, value in options.items() if value is not None}


def value_and_grad(model: Layer, loss: Layer, *, tbptt: tuple[int, int] | None = None) -> ValueAndGrad:
    """Join a model to a loss.

    Parameters
    ----------
    model : Layer
    loss : Layer
        Such as `losses.LinearCrossEntropy`, whose parameters come after the model's, in one buffer with
        them: give the result to an optimiser.
    tbptt : (k1, k2), optional
        Truncated back-propagation through time, BPTT(h; h') of Williams and Peng 1990 with h = k2, h' = k1:
        every k1 steps the gradient of the loss of these steps goes back through the last k2 <= T, and the
        state goes on. Memory follows k2 and not T; the steps before the last k1 are run anew for each window.
        With k1 = k2 >= T it is the whole gradient, bit for bit.

    Returns
    -------
    callable
        ``f(x, targets, state=None, key=None) -> (loss, state)`` adds the gradients into ``f.grads``, of which
        ``model.grads`` is a part.

    Raises
    ------
    ValueError, TypeError
        `tbptt` is not two ints with 1 <= k1 <= k2; or the model is not recurrent, or bidirectional.

    Examples
    --------
    >>> model = fastrnn.Sequential(fastrnn.Embedding(65, 128), fastrnn.LSTM(128, 128))
    >>> f = fastrnn.value_and_grad(model, fastrnn.losses.LinearCrossEntropy(128, 65))
    >>> optimizer = fastrnn.optim.Adam(f)
    >>> loss, state = f(tokens[:-1], tokens[1:])
    >>> norm = optimizer.step(max_norm=1.0)
    """
    return ValueAndGrad(model, loss, tbptt)
