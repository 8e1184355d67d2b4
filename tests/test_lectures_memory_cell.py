"""An exercise of the courses on recurrent networks: a memory cell whose gates are set by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import checks
import numpy as np
import pytest

import fastrnn

# An LSTM of one unit, its gates set by hand. Of each step the input says: value, store, reset, show.
OPEN = 100.0  # sigmoid(-50) = 2e-22 is lost beside 1: a gate is open or shut


def memory_cell(make: Callable[..., Any] = fastrnn.LSTM, **options: Any) -> Any:
    """Input gate: store. Forget gate: open unless reset or store. Output gate: show. Candidate: the value."""
    layer = make(4, 1, dtype="float64", **options)
    weights = {
        "i": ([0, OPEN, 0, 0], -OPEN / 2),
        "f": ([0, -OPEN, -OPEN, 0], OPEN / 2),
        "g": ([1, 0, 0, 0], 0),
        "o": ([0, 0, 0, OPEN], -OPEN / 2),
    }
    layer.flat_params[:] = 0
    gates = "fgo" if layer.coupled else "ifgo"
    layer.params["weight_ih_l0"][...] = [weights[g][0] for g in gates]
    layer.params["bias_ih_l0"][...] = [weights[g][1] for g in gates]
    return layer


def remembers(layer: Any) -> None:
    """A value is stored, kept over other inputs, shown on demand, overwritten, and reset."""
    steps = [
        # value, store, reset, show;  what is remembered, whether it shows
        ((0.7, 0, 0, 1), 0.0, 1),  # nothing was stored
        ((0.7, 1, 0, 0), np.tanh(0.7), 0),
        *([((-0.3, 0, 0, 0), np.tanh(0.7), 0)] * 50),
        ((0.9, 0, 0, 1), np.tanh(0.7), 1),
        ((-0.4, 1, 0, 1), np.tanh(-0.4), 1),
        ((0.5, 0, 0, 1), np.tanh(-0.4), 1),
        ((0.0, 0, 1, 0), 0.0, 0),
        ((0.6, 0, 0, 1), 0.0, 1),
    ]
    x = np.array([given for given, _, _ in steps], float)[:, None]
    y, (h, c) = layer(x)
    want = [np.tanh(kept) * shown for _, kept, shown in steps]
    checks.close(y[:, 0, 0], np.array(want), "forward", "y")
    checks.close(c, np.zeros((1, 1, 1)), "forward", "c")
    checks.close(h, np.zeros((1, 1, 1)), "forward", "h")


def test_an_lstm_remembers() -> None:
    remembers(memory_cell())
    remembers(memory_cell(peephole="diagonal"))
    remembers(memory_cell(peephole="full"))


def test_the_gradient_of_what_was_stored_does_not_vanish() -> None:
    layer, x = memory_cell(), np.zeros((200, 1, 4))
    x[0, 0], x[-1, 0, 3] = (0.7, 1, 0, 0), 1
    (y, _), pullback = layer.vjp(x)
    dy = np.zeros_like(y)
    dy[-1] = 1
    dx, _ = pullback(dy)
    kept = np.tanh(0.7)
    want = (1 - np.tanh(kept) ** 2) * (1 - kept**2)  # as if there had been no 199 steps in between
    checks.close(dx[0, 0, :1], np.array([want]), "gradient", "dx")
    assert not dx[1:-1].any() or np.abs(dx[1:-1]).max() < np.finfo(float).eps


class TestTwins:
    """Each check of this file notices what is wrong."""

    @pytest.mark.parametrize("gate", range(4))
    def test_memory(self, gate: int) -> None:
        layer = memory_cell()
        layer.params["bias_ih_l0"][gate] += 60
        with pytest.raises(AssertionError):
            remembers(layer)
