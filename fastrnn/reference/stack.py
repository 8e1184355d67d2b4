"""Layers on top of each other, with dropout between them: what ``fastrnn/layers`` builds of the kernels.

Dropout falls on the output of every layer but the last, as in ``torch.nn.LSTM(num_layers, dropout)``; the
mask of each gap has its own key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from . import sequence
from ._types import Array
from .cells import Cell, States
from .dropout import dropout as drop
from .sequence import Saved, Weights
from .state_noise import NONE, Noise


@dataclass(frozen=True)
class Gap:
    """Dropout between two layers: probability, key of the mask, absolute step of the first row."""

    p: float
    key: int
    step: int = 0

    def __call__(self, x: Array) -> Array:
        """Mask and scale; the same for a value on the way up and a gradient on the way down."""
        return drop(x, self.p, self.key, self.step)


@dataclass(frozen=True)
class StackSaved:
    """What `forward` keeps: inputs and `Saved` of each layer."""

    inputs: list[Array]
    layers: list[Saved]
    sides: list[Array | None]


class Gradients(NamedTuple):
    """Result of `backward`; `state` and `weights` have one element for each layer."""

    x: Array | None
    state: list[States]
    weights: list[Weights]
    table: Array | None
    side: Array | None


def cells(saved: Saved) -> Array:
    """c after each step of a layer: what a layer above reads besides y."""
    return np.stack([states[1] for states in saved.states])[1:]


def forward(
    cell: Cell,
    x: Array,
    weights: Sequence[Weights],
    state: Sequence[States] | None = None,
    table: Array | None = None,
    gaps: Sequence[Gap] = (),
    noise: Sequence[Noise] = (),
    side: Array | None = None,
    bfloat16: bool = False,
) -> tuple[Array, list[States], StackSaved]:
    """Layers from the first to the last.

    Parameters
    ----------
    x, table
        As for `sequence.forward`; they feed the first layer.
    weights : sequence of Weights
        One element for each layer.
    state : sequence of states, optional
        One element for each layer; zeros if None.
    gaps : sequence of Gap
        Dropout after each layer but the last; empty for none.
    noise : sequence of Noise
        Of the states of each layer; empty for none.
    side : ndarray, shape (T, B, H), optional
        What the first layer reads besides x; the others then read the c of the layer below.
    bfloat16 : bool
        As for `sequence.forward`.
    """
    saved = StackSaved([], [], [])
    final: list[States] = []
    for layer, w in enumerate(weights):
        if layer > 0 and gaps:
            x = gaps[layer - 1](x)
        saved.inputs.append(x)
        initial = None if state is None else state[layer]
        rows = table if layer == 0 else None
        x, states, kept = sequence.forward(
            cell, x, w, initial, rows, noise[layer] if noise else NONE, side, bfloat16
        )
        saved.sides.append(side)
        side = None if side is None else cells(kept)
        saved.layers.append(kept)
        final.append(states)
    return x, final, saved


def backward(
    cell: Cell,
    saved: StackSaved,
    weights: Sequence[Weights],
    dy: Array | None = None,
    dstate: Sequence[States] | None = None,
    table: Array | None = None,
    gaps: Sequence[Gap] = (),
    noise: Sequence[Noise] = (),
    dcells: Array | None = None,
    bfloat16: bool = False,
) -> Gradients:
    """Gradients of ``<dy, y> + sum of <dstate, final states>`` for the `forward` that gave `saved`."""
    found: list[sequence.Gradients] = []
    for layer in reversed(range(len(weights))):
        d = None if dstate is None else dstate[layer]
        x, w, rows = saved.inputs[layer], weights[layer], table if layer == 0 else None
        n = noise[layer] if noise else NONE
        kept, below = saved.layers[layer], saved.sides[layer]
        g = sequence.backward(cell, kept, x, w, dy, d, rows, n, below, dcells, bfloat16)
        dcells = g.side
        found.insert(0, g)
        dy = g.x if layer == 0 or not gaps or g.x is None else gaps[layer - 1](g.x)
    return Gradients(dy, [g.state for g in found], [g.weights for g in found], found[0].table, dcells)
