"""The one time loop, forward and backward, for every cell. Mirror of ``csrc/kernels/sequence.h``.

A step is ``pre = W x(t) + b_ih + R h(t-1) + b_hh``, cut into gates of H columns, then the cell. Backward runs
the steps in descending order: the cell turns the gradients of the new states into dG, then ``dh(t-1) += dG
R``, and after the loop ``dx = dG W``, ``dW = dG' x``, ``dR = dG' h(t-1)`` and both biases get the sum of dG.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ._types import Array
from .cells import Cell, States
from .embedding import embedding, embedding_backward
from .linear import linear, linear_backward


class Weights(NamedTuple):
    """Parameters of one layer: w_ih [G*H, I], w_hh [G*H, H], b_ih and b_hh [G*H] or None."""

    w_ih: Array
    w_hh: Array
    b_ih: Array | None = None
    b_hh: Array | None = None


@dataclass(frozen=True)
class Saved:
    """What forward keeps for backward: gates of each step, states before each step and after the last."""

    gates: list[tuple[Array, ...]]
    states: list[States]


class Gradients(NamedTuple):
    """Result of `backward`. With a table, `x` is None and `table` its gradient; otherwise the reverse."""

    x: Array | None
    state: States
    weights: Weights
    table: Array | None


def zero_state(cell: Cell, x: Array, weights: Weights) -> States:
    """States of zeros, one [B, H] for each state of the cell."""
    shape = (x.shape[1], weights.w_hh.shape[1])
    return tuple(np.zeros(shape, weights.w_hh.dtype) for _ in cell.STATES)


def forward(
    cell: Cell, x: Array, weights: Weights, state: States | None = None, table: Array | None = None
) -> tuple[Array, States, Saved]:
    """One layer over a whole sequence.

    Parameters
    ----------
    cell : Cell
        An element of `CELLS`.
    x : ndarray, shape (T, B, I)
        Input; with `table`, tokens of shape (T, B).
    weights : Weights
    state : tuple of ndarray, shape (B, H) each, optional
        Initial states in the order of ``cell.STATES``; zeros if None.
    table : ndarray, shape (V, I), optional
        Rows to use as input in place of tokens.

    Returns
    -------
    y : ndarray, shape (T, B, H)
    state : tuple of ndarray
        Final states.
    saved : Saved
    """
    inputs = x if table is None else embedding(x, table)
    saved = Saved([], [zero_state(cell, x, weights) if state is None else tuple(state)])
    outputs = []
    for x_t in inputs:
        old = saved.states[-1]
        pre = linear(x_t, weights.w_ih, weights.b_ih) + linear(old[0], weights.w_hh, weights.b_hh)
        gates, new = cell.forward(tuple(np.split(pre, len(cell.GATES), axis=-1)), old)
        saved.gates.append(gates)
        saved.states.append(new)
        outputs.append(new[0])
    y = np.stack(outputs) if outputs else np.zeros((0, *saved.states[0][0].shape), weights.w_hh.dtype)
    return y, saved.states[-1], saved


def backward(
    cell: Cell,
    saved: Saved,
    x: Array,
    weights: Weights,
    dy: Array | None = None,
    dstate: States | None = None,
    table: Array | None = None,
) -> Gradients:
    """Gradients of ``<dy, y> + sum of <dstate, final states>`` for the call of `forward` that gave `saved`.

    Parameters
    ----------
    x, weights, table
        As given to `forward`.
    dy : ndarray, shape (T, B, H), optional
        Zeros if None.
    dstate : tuple of ndarray, shape (B, H) each, optional
        Zeros if None.
    """
    steps = len(saved.gates)
    d = tuple(np.zeros_like(s) for s in saved.states[-1]) if dstate is None else tuple(dstate)
    dpre = np.zeros((steps, x.shape[1], weights.w_ih.shape[0]), weights.w_hh.dtype)
    for t in reversed(range(steps)):
        if dy is not None:
            d = (d[0] + dy[t], *d[1:])
        dgates, d = cell.backward(saved.gates[t], saved.states[t], saved.states[t + 1], d)
        dpre[t] = np.concatenate(dgates, axis=-1)
        d = (d[0] + dpre[t] @ weights.w_hh, *d[1:])
    inputs = x if table is None else embedding(x, table)
    previous_h = np.stack([s[0] for s in saved.states])[:-1]
    through_x = linear_backward(dpre, inputs, weights.w_ih)
    through_h = linear_backward(dpre, previous_h, weights.w_hh)
    dweights = Weights(
        through_x.weight,
        through_h.weight,
        None if weights.b_ih is None else through_x.bias,
        None if weights.b_hh is None else through_h.bias,
    )
    if table is None:
        return Gradients(through_x.x, d, dweights, None)
    return Gradients(None, d, dweights, embedding_backward(x, through_x.x, len(table)))
