"""A deep feed-forward network: labels by softmax, or numbers by least squares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastrnn import _check, metrics
from fastrnn._random import fold
from fastrnn.batches import DenseBatches
from fastrnn.layers import Activation, Dropout, Linear, Sequential
from fastrnn.layers.activation import KINDS as ACTIVATIONS
from fastrnn.losses import MSE, LinearCrossEntropy
from fastrnn.models._sentences import Labels
from fastrnn.models.base import Model, probabilities, validation_pair
from fastrnn.training import evaluate
from fastrnn.windows import series

if TYPE_CHECKING:
    from typing_extensions import Self

    from fastrnn.callbacks import History


class Fit(NamedTuple):
    """The mean loss (nats, or squared error), the share of right labels (None of numbers), and rows."""

    loss: float
    accuracy: float | None
    rows: int


class MLP(Model):
    """
    Dense layers with a function between them.

    Parameters
    ----------
    in_features
        I, numbers in a row of x.
    labels
        Names of labels, or training labels, out of which the names are taken: a classifier. None is
        regression.
    out_features
        O, the numbers to give, of a regression.
    hidden
        The widths of the layers between; none is softmax or linear regression.
    activation
        ``"relu"``, ``"tanh"``, ``"sigmoid"`` or ``"identity"``.
    dropout
        After each of them.
    compute
        What products are computed in: ``"bfloat16"``, or None for the dtype; see ``Layer.set_compute``.
    dtype, seed
        ``"float32"`` or ``"float64"``; of the initial parameters: weights U(-b, b) with b = sqrt(6 / I) for
        "relu" (He et al. 2015), as a `Linear` layer's otherwise.

    Examples
    --------
    >>> model = fastrnn.MLP(64, digits.target.astype(str), hidden=(128, 64), seed=0)
    >>> model.fit(x, y, validation_data=(dev_x, dev_y), epochs=20)
    """

    def __init__(
        self,
        in_features: int,
        labels: Iterable[str] | None = None,
        *,
        out_features: int | None = None,
        hidden: Sequence[int] = (64,),
        activation: str = "relu",
        dropout: float = 0.0,
        dtype: str = "float32",
        compute: str | None = None,
        seed: int | None = None,
    ) -> None:
        self.width = _check.integer("in_features", in_features, 1)
        if (labels is None) == (out_features is None):
            raise ValueError("labels, out_features: expected one of them, got both or none")
        self.labels = None if labels is None else Labels("labels", labels)
        if isinstance(hidden, (str, int)) or not hasattr(hidden, "__iter__"):
            raise TypeError(f"hidden: expected a tuple of ints, got {_check.describe(hidden)}")
        sizes = [self.width, *(_check.integer("hidden", size, 1) for size in hidden)]
        start = None if seed is None else _check.integer("seed", seed, 0)
        seeds = [None if start is None else fold(start, i) for i in range(len(sizes))]
        rate = _check.real("dropout", dropout, 0.0, 1.0)
        _check.choice("activation", activation, ACTIVATIONS)
        if rate and len(sizes) == 1:
            raise ValueError(f"dropout: expected 0 without hidden layers, got {rate:g}")
        parts: list[Any] = []
        for inputs, outputs, own in zip(sizes[:-1], sizes[1:], seeds[:-1], strict=True):
            layer = Linear(inputs, outputs, dtype=dtype, seed=own)
            if activation == "relu":
                layer.params["weight"][...] *= np.sqrt(6.0)
                layer.params["bias"].fill(0)
            parts += [layer, Activation(activation), *([Dropout(rate)] if rate else [])]
        self.body = Sequential(*parts) if parts else Activation("identity")
        wide, last = sizes[-1], seeds[-1]
        if self.labels is not None:
            self.head: Any = LinearCrossEntropy(wide, len(self.labels), dtype=dtype, seed=last)
        else:
            count = _check.integer("out_features", out_features, 1)
            self.head = Linear(wide, count, dtype=dtype, seed=last)
        self._loss, self._nats = MSE(), self.labels is not None
        self._compose({"body": self.body, "head": self.head})
        self.set_compute(compute)
        self.config: dict[str, Any] = {
            "in_features": self.width,
            "out_features": None if labels is not None else int(out_features or 0),
            "hidden": sizes[1:],
            "activation": activation,
            "dropout": rate,
            "dtype": str(self.flat_params.dtype),
        }

    def value_and_grad(
        self, x: Any, targets: Any, state: Any = None, key: int | None = None
    ) -> tuple[float, None]:
        """Return the mean loss of a batch, and None; add the gradients to ``self.grads``."""
        y, pullback = self.body.vjp(x, key=key)
        if self.labels is not None:
            loss, dy = self.head.value_and_grad(y, targets)
        else:
            out, back = self.head.vjp(y)
            loss, dout = self._loss.value_and_grad(out, targets)
            dy = back(dout)
        pullback(dy, want_dx=False)
        return loss, None

    def total(self, x: Any, targets: Any, state: Any = None) -> tuple[float, int, None]:
        """Return the sum of the losses without dropout, their number, and None."""
        y = self.body(x)
        if self.labels is not None:
            return (*self.head.total(y, targets), None)
        return (*self._loss.total(self.head(y), targets), None)

    def fit(
        self,
        x: Any,
        y: Any,
        validation_data: tuple[Any, Any] | None = None,
        *,
        batch: int = 32,
        seed: int = 0,
        **training: Any,
    ) -> History:
        """
        Train on rows and their labels or numbers.

        Parameters
        ----------
        x
            [N, I], numbers of any kind that NumPy makes an array of.
        y
            N labels, or [N, O] numbers ([N] for one).
        validation_data
            Another such pair: the parameters of the best epoch on it are kept, by the share of right labels,
            or by the squared error.
        batch, seed
            Rows of a batch; of their order and of dropout.
        training
            As `Model.train` takes it: epochs, lr, optimizer, patience, callbacks, checkpoint, ...
        """
        data = DenseBatches(*self._arrays(x, y), batch, seed=seed)
        held_out, score = None, None
        if validation_data is not None:
            kept, wanted = validation_pair(validation_data)
            held_out = DenseBatches(*self._arrays(kept, wanted, "validation_data"), 1024)
            if self.labels is not None:
                score = ("accuracy", lambda: metrics.accuracy(wanted, self.predict(kept)))
        return self.train(data, held_out, score=score, seed=seed, **{"unit": "row", **training})

    def _arrays(self, x: Any, y: Any, name: str = "") -> tuple[Any, Any]:
        first, second = (f"{name}[0]", f"{name}[1]") if name else ("x", "y")
        rows = self._rows(first, x)
        if self.labels is not None:
            return rows, self.labels.array(second, y, first, rows)
        targets = series(second, y, self.head.out_features, rows.dtype)
        if len(targets) != len(rows):
            raise ValueError(f"{second}: expected {len(rows)} rows, as {first} has, got {len(targets)}")
        return rows, targets

    def _rows(self, name: str, x: Any) -> Any:
        return series(name, x, self.width, self.flat_params.dtype)

    def evaluate(self, x: Any, y: Any) -> Fit:
        """Return the loss and, of a classifier, the share of right labels."""
        y = y if self.labels is None else _check.items(y)
        rows, targets = self._arrays(x, y)
        right = None if self.labels is None else metrics.accuracy(y, self.predict(x))
        return Fit(evaluate(self, DenseBatches(rows, targets, 1024)), right, len(rows))

    def predict(self, x: Any) -> Any:
        """Return the likeliest label of each row, a list; or numbers, [N, O]."""
        if self.labels is None:
            return self.head(self.body(self._rows("x", x)))
        return [self.labels.names[k] for k in self.predict_proba(x).argmax(axis=1)]

    def predict_proba(self, x: Any) -> Any:
        """Return the probabilities of the labels, in the order of ``labels.names``: [N, labels]."""
        if self.labels is None:
            raise ValueError("predict_proba: expected a model with labels, got one of numbers")
        return probabilities(self.head.logits(self.body(self._rows("x", x))))

    def describe(self) -> dict[str, Any]:
        """Return all of the model but its parameters, as a checkpoint holds it."""
        return {
            "kind": "MLP",
            "config": self.config,
            "labels": None if self.labels is None else self.labels.names,
        }

    @classmethod
    def _build(cls, model: dict[str, Any]) -> Self:
        return cls(labels=model["labels"], **model["config"], seed=0)
