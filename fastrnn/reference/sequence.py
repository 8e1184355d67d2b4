"""The one time loop, forward and backward, for every cell. Mirror of ``csrc/kernels/sequence.h``.

A step is ``W x(t) + b_ih``, cut into gates of H columns, then the cell, which asks for its recurrent
products itself. Backward runs the steps in descending order; a product taken back adds to the gradients of
its matrix and gives the gradient by its operand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ._types import Array
from .cells import Cell, States
from .embedding import embedding, embedding_backward
from .linear import linear_backward
from .norm import affine, affine_backward, by_product
from .state_noise import NONE, Noise


class Weights(NamedTuple):
    """Parameters of one layer: w_ih [G*H, I], w_hh [G*H, H], b_ih and b_hh [G*H] or None.

    w_ch is the second recurrent matrix of a cell that has one, a projection [P, H] (then w_hh is [G*H, P]),
    or what its units have of their own, [n*H]. A normalised cell has gains, g_ih and g_hh [G*H], and those of
    what is normalised within it: g_ch, b_ch.
    """

    w_ih: Array
    w_hh: Array | None
    b_ih: Array | None = None
    b_hh: Array | None = None
    w_ch: Array | None = None
    g_ih: Array | None = None
    g_hh: Array | None = None
    g_ch: Array | None = None
    b_ch: Array | None = None


class Products:
    """The recurrent products of a layer, and the gradients of their weights."""

    def __init__(
        self, cell: Cell, weights: Weights, drop: Array | None = None, bfloat16: bool = False
    ) -> None:
        self.cell, self.drop, self.bfloat16 = cell, drop, bfloat16
        second = weights.w_ch if len(cell.RECURRENT) > 1 else None
        self.matrices = (weights.w_hh, second)
        self.bias, self.gain, self.norms = weights.b_hh, weights.g_hh, cell.NORMS
        self.dmatrices = tuple(None if m is None else np.zeros_like(m) for m in self.matrices)
        self.dbias, self.dgain = (None if a is None else np.zeros_like(a) for a in (self.bias, self.gain))

    def _rows(self, gates: slice, matrix: int) -> tuple[Array, slice]:
        whole = self.matrices[matrix]
        assert whole is not None
        height = self._height(whole, matrix)
        stop = None if gates.stop is None else gates.stop * height
        return whole, slice((gates.start or 0) * height, stop)

    def _height(self, whole: Array, matrix: int) -> int:
        """Rows of one gate of a matrix."""
        return len(whole) // len(self.cell.RECURRENT[matrix])

    def _dropped(self, a: Array, matrix: int) -> Array:
        """What a product reads, and the gradient by what it would have read."""
        return a if self.drop is None or matrix else a * self.drop

    def __call__(self, operand: Array, gates: slice = slice(None), matrix: int = 0) -> tuple[Array, ...]:
        whole, rows = self._rows(gates, matrix)
        operand = self._dropped(operand, matrix)
        bias = None if matrix or self.bias is None else self.bias[rows]
        product = affine(operand, whole[rows], bias, self.gain, self.norms, self.bfloat16)
        return tuple(np.split(product, product.shape[-1] // self._height(whole, matrix), axis=-1))

    def back(
        self, d: tuple[Array, ...], operand: Array, gates: slice = slice(None), matrix: int = 0
    ) -> Array:
        """The gradient by the operand of a call; adds to those of the weights."""
        whole, rows = self._rows(gates, matrix)
        read = self._dropped(operand, matrix)
        by_gates = np.concatenate(d, axis=-1)
        found = affine_backward(by_gates, read, whole[rows], self.gain, self.norms, self.bfloat16)
        dwhole = self.dmatrices[matrix]
        assert dwhole is not None
        dwhole[rows] += found.weight
        if not matrix and self.dbias is not None:
            self.dbias[rows] += found.bias
        if found.gain is not None and self.dgain is not None:
            self.dgain += found.gain
        return self._dropped(found.x, matrix)


class Units:
    """Parameters that every unit has of its own, or gain and bias of what is normalised within the cell."""

    def __init__(self, cell: Cell, weights: Weights) -> None:
        count = len(cell.UNITS)
        if cell.INNER:
            assert weights.g_ch is not None
            bias = np.zeros_like(weights.g_ch) if weights.b_ch is None else weights.b_ch
            self.of = np.stack([weights.g_ch, bias])
        else:
            self.of = (
                np.zeros((0, 0)) if weights.w_ch is None or not count else weights.w_ch.reshape(count, -1)
            )
        self.d = np.zeros_like(self.of)

    def __getitem__(self, k: int) -> Array:
        found: Array = self.of[k]
        return found

    def back(self, k: int, d: Array) -> None:
        """Add to the gradient of one of them."""
        self.d[k] += d.sum(axis=0)


@dataclass(frozen=True)
class Saved:
    """What forward keeps for backward: what the cell keeps of each step and makes, and all states."""

    gates: list[tuple[Array, ...]]
    states: list[States]
    made: list[States]


class Gradients(NamedTuple):
    """Result of `backward`. With a table, `x` is None and `table` its gradient; otherwise the reverse."""

    x: Array | None
    state: States
    weights: Weights
    table: Array | None
    side: Array | None = None


def widths(cell: Cell, weights: Weights) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Columns of the gates that W feeds, and of the states: H unless the cell says otherwise."""
    own = getattr(cell, "widths", None)
    if own is not None:
        found: tuple[tuple[int, ...], tuple[int, ...]] = own(weights)
        return found
    hidden = weights.w_ih.shape[0] // len(cell.GATES)
    return (hidden,) * len(cell.GATES), (hidden,) * len(cell.STATES)


def zero_state(cell: Cell, x: Array, weights: Weights) -> States:
    """States of zeros, one [B, width] for each state of the cell."""
    dtype = weights.w_ih.dtype
    return tuple(np.zeros((x.shape[1], width), dtype) for width in widths(cell, weights)[1])


def forward(
    cell: Cell,
    x: Array,
    weights: Weights,
    state: States | None = None,
    table: Array | None = None,
    noise: Noise = NONE,
    side: Array | None = None,
    bfloat16: bool = False,
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
    noise : Noise
        Dropout and zoneout of the states.
    side : ndarray, shape (T, B, H), optional
        What a cell reads besides x.
    bfloat16 : bool
        Operands of products are rounded, see `bfloat16`.

    Returns
    -------
    y : ndarray, shape (T, B, H)
        Or as wide as the first state.
    state : tuple of ndarray
        Final states.
    saved : Saved
    """
    inputs = x if table is None else embedding(x, table)
    saved = Saved([], [zero_state(cell, x, weights) if state is None else tuple(state)], [])
    products, units = Products(cell, weights, noise.drop, bfloat16), Units(cell, weights)
    cuts = np.cumsum(widths(cell, weights)[0])[:-1]
    outputs = []
    for t, x_t in enumerate(inputs):
        by_x = affine(x_t, weights.w_ih, weights.b_ih, weights.g_ih, cell.NORMS, bfloat16)
        gates = tuple(np.split(by_x, cuts, axis=-1))
        gates = gates if side is None else (*gates, side[t])
        kept, made = cell.forward(gates, products, units, saved.states[-1])
        new = noise.forward(t, saved.states[-1], made)
        saved.gates.append(kept)
        saved.states.append(new)
        saved.made.append(made)
        outputs.append(new[0])
    y = np.stack(outputs) if outputs else np.zeros((0, *saved.states[0][0].shape), weights.w_ih.dtype)
    return y, saved.states[-1], saved


def backward(
    cell: Cell,
    saved: Saved,
    x: Array,
    weights: Weights,
    dy: Array | None = None,
    dstate: States | None = None,
    table: Array | None = None,
    noise: Noise = NONE,
    side: Array | None = None,
    dcells: Array | None = None,
    bfloat16: bool = False,
) -> Gradients:
    """Gradients of ``<dy, y> + sum of <dstate, final states>`` for the call of `forward` that gave `saved`.

    Parameters
    ----------
    x, weights, table, noise, side, bfloat16
        As given to `forward`.
    dy : ndarray, shape (T, B, H), optional
        Zeros if None.
    dcells : ndarray, shape (T, B, H), optional
        By c after each step; zeros if None.
    dstate : tuple of ndarray, shape (B, H) each, optional
        Zeros if None.
    """
    steps = len(saved.gates)
    d = tuple(np.zeros_like(s) for s in saved.states[-1]) if dstate is None else tuple(dstate)
    dpre = np.zeros((steps, x.shape[1], weights.w_ih.shape[0]), weights.w_ih.dtype)
    products, units = Products(cell, weights, noise.drop, bfloat16), Units(cell, weights)
    dside = None if side is None else np.zeros_like(side)
    for t in reversed(range(steps)):
        if dy is not None:
            d = (d[0] + dy[t], *d[1:])
        if dcells is not None:
            d = (d[0], d[1] + dcells[t])
        past, d = noise.backward(t, d)
        dgates, d = cell.backward(saved.gates[t], products, units, saved.states[t], saved.made[t], d)
        d = tuple(a + b for a, b in zip(d, past, strict=True))
        if dside is not None:
            *dgates, dside[t] = dgates  # type: ignore[assignment]
        dpre[t] = np.concatenate(dgates, axis=-1)
    inputs = x if table is None else embedding(x, table)
    through_x = affine_backward(dpre, inputs, weights.w_ih, weights.g_ih, cell.NORMS, bfloat16)
    more = products.dmatrices[1] if weights.w_ch is None or not cell.UNITS else units.d.reshape(-1)
    dweights = Weights(
        through_x.weight,
        products.dmatrices[0],
        None if weights.b_ih is None else through_x.bias,
        products.dbias,
        more,
        through_x.gain,
        products.dgain,
        units.d[0] if cell.INNER else None,
        None if weights.b_ch is None else units.d[1],
    )
    if table is None:
        return Gradients(through_x.x, d, dweights, None, dside)
    if bfloat16:  # a token's gradients are summed before they are rounded
        product, _ = by_product(dpre, inputs, weights.w_ih, weights.g_ih, cell.NORMS, True)
        sums = embedding_backward(x, product, len(table))
        found = linear_backward(sums, table, weights.w_ih, True)
        return Gradients(None, d, dweights._replace(w_ih=found.weight), found.x, dside)
    return Gradients(None, d, dweights, embedding_backward(x, through_x.x, len(table)), dside)
