"""What a callback is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastrnn.training import Trainer

Logs = dict[str, Any]


class Callback:
    """
    Four hooks that do nothing; derive from it and override what you need.

    A callback that remembers something across steps returns it from `state_dict`; it is then part of the
    checkpoint. Do not change the model or the optimiser by the clock: a resumed run must repeat the same
    bits.

    Attributes
    ----------
    first_only
        Of a class: in a distributed run its hooks are called in the first process alone.
    """

    first_only = False

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Run before the first step, of a new or of a resumed run."""

    def on_step_end(self, trainer: Trainer, logs: Logs) -> None:
        """Run after each optimiser step; `logs` has step, epoch, loss, norm, lr and tokens of this step."""

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Run after validation; `logs` has epoch, step, loss, lr and, if validated, validation_loss."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """Run when training ends, also when it ends by an error or by Ctrl-C."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: numbers, strings, arrays, lists and dicts of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""


def held_out_loss(logs: Logs) -> float:
    """Return the validation loss of an epoch, the training loss if there is none."""
    return float(logs["validation_loss"] if "validation_loss" in logs else logs["loss"])


def perplexity(loss: float) -> float:
    """Return exp(loss), inf where that overflows."""
    return math.exp(loss) if loss < 700 else math.inf
