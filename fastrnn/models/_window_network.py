"""Windows of numbers to labels or numbers: a recurrent layer, a pool, a dense layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastrnn import _check
from fastrnn._random import fold
from fastrnn.layers import Linear, Pool, Sequential
from fastrnn.layers.pool import KINDS as POOLS
from fastrnn.losses import MSE, LinearCrossEntropy
from fastrnn.models._decoder import dropped
from fastrnn.models.base import Model, probabilities, recurrent_layer

if TYPE_CHECKING:
    from typing_extensions import Self


class WindowNetwork(Model):
    """
    Children `body` and `head`; x is [B, T, C], targets are classes [B] or numbers [B, O].

    Parameters
    ----------
    channels, outputs
        C, and O or the number of classes.
    classes
        Softmax and cross-entropy, instead of squared errors.
    pooling
        ``"last"``, ``"mean"`` or ``"max"``.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        *,
        classes: bool,
        hidden_size: int,
        num_layers: int,
        cell: str,
        bidirectional: bool,
        pooling: str,
        dropout: float,
        seed: int,
    ) -> None:
        self.config: dict[str, Any] = {
            "channels": channels,
            "outputs": outputs,
            "classes": classes,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "cell": cell,
            "bidirectional": bidirectional,
            "pooling": pooling,
            "dropout": dropout,
        }
        rate = _check.real("dropout", dropout, 0.0, 1.0)
        _check.choice("pooling", pooling, POOLS)
        between = rate if _check.integer("num_layers", num_layers, 1) > 1 else 0.0
        options: dict[str, Any] = {"bidirectional": bidirectional, "dropout": between}
        layer = recurrent_layer(cell, channels, hidden_size, num_layers, seed=fold(seed, 0), **options)
        self.body = Sequential(layer, Pool(pooling, bidirectional=bidirectional), *dropped(rate))
        head = LinearCrossEntropy if classes else Linear
        self.head: Any = head(layer.output_size * layer.directions, outputs, seed=fold(seed, 1))
        self._loss = MSE()
        self._compose({"body": self.body, "head": self.head})

    def value_and_grad(
        self, x: Any, targets: Any, state: Any = None, key: int | None = None
    ) -> tuple[float, None]:
        """Return the mean loss of a batch, and None; add the gradients to ``self.grads``."""
        (h, _), pullback = self.body.vjp(x.swapaxes(0, 1), key=key)
        if self.config["classes"]:
            loss, dh = self.head.value_and_grad(h, targets)
        else:
            y, back = self.head.vjp(h)
            loss, dy = self._loss.value_and_grad(y, targets)
            dh = back(dy)
        pullback.consume(dh)
        return loss, None

    def total(self, x: Any, targets: Any, state: Any = None) -> tuple[float, int, None]:
        """Return the sum of the losses without dropout, their number, and None."""
        h, _ = self.body(x.swapaxes(0, 1))
        if self.config["classes"]:
            return (*self.head.total(h, targets), None)
        return (*self._loss.total(self.head(h), targets), None)

    def outputs(self, x: Any) -> Any:
        """Probabilities of the classes, or numbers: [B, O] of x [B, T, C]."""
        h, _ = self.body(x.swapaxes(0, 1))
        return probabilities(self.head.logits(h)) if self.config["classes"] else self.head(h)

    def describe(self) -> dict[str, Any]:
        """Return all of the model but its parameters, as a checkpoint holds it."""
        return {"kind": "WindowNetwork", "config": self.config}

    @classmethod
    def _build(cls, model: dict[str, Any]) -> Self:
        return cls(**model["config"], seed=0)
