"""The cells: equations and traits, and nothing else. A new one joins the list below."""

from __future__ import annotations

from typing import Protocol

from .._types import Array
from ..norm import Groups
from . import (
    gru,
    gru_norm,
    gru_reset_before,
    leaky,
    lstm,
    lstm_coupled,
    lstm_depth_gated,
    lstm_full_peephole,
    lstm_norm,
    lstm_peephole,
    lstm_projected,
    min_gru,
    min_lstm,
    rnn,
)

Gates = tuple[Array, ...]
States = tuple[Array, ...]


class Product(Protocol):
    """The recurrent products of a layer: rows of its matrices, by gate, times what the cell chooses."""

    def __call__(self, operand: Array, gates: slice = ..., matrix: int = ...) -> Gates:
        """``R operand + b`` for some gates of a matrix, each [B, H]; matrix 0 has the bias."""

    def back(self, d: Gates, operand: Array, gates: slice = ..., matrix: int = ...) -> Array:
        """The gradient by the operand of a call, of those by its gates; adds to the gradients of R and b."""


class Units(Protocol):
    """Parameters that every unit has of its own, each [H]."""

    def __getitem__(self, k: int) -> Array: ...
    def back(self, k: int, d: Array) -> None:
        """Add to the gradient of one of them: d is [B, H]."""


class Cell(Protocol):
    """What `fastrnn.reference.sequence` asks of a cell.

    Gates and states are tuples of [B, H] in the order of the traits. The first state is the output of the
    layer. A cell whose gates or states are not all H wide has `widths(weights)`, the columns of both. A
    cell with SIDE finds the step's rows of a second sequence after the gates.
    """

    @property
    def NAME(self) -> str: ...
    @property
    def GATES(self) -> tuple[str, ...]:
        """What W feeds."""

    @property
    def RECURRENT(self) -> tuple[tuple[str, ...], ...]:
        """What each recurrent matrix feeds."""

    @property
    def UNITS(self) -> tuple[str, ...]: ...
    @property
    def NORMS(self) -> Groups:
        """Gates that are normalised together, of W x and of R h alike: then both come with gain and bias."""

    @property
    def INNER(self) -> tuple[str, ...]:
        """What is normalised within the cell; its gain and bias are p[0] and p[1]."""

    @property
    def STATES(self) -> tuple[str, ...]: ...

    def forward(self, x: Gates, R: Product, p: Units, states: States) -> tuple[Gates, States]:
        """``W x + b`` by gate and old states to (what backward needs, new states)."""

    def backward(
        self, kept: Gates, R: Product, p: Units, old: States, new: States, dnew: States
    ) -> tuple[Gates, States]:
        """Gradients of the new states to gradients of (``W x + b`` by gate, old states)."""


CELLS: dict[str, Cell] = {
    cell.NAME: cell
    for cell in (
        lstm,
        lstm_coupled,
        lstm_peephole,
        lstm_full_peephole,
        lstm_projected,
        lstm_depth_gated,
        gru,
        gru_reset_before,
        *rnn.CELLS,
        min_gru,
        min_lstm,
        leaky,
        *lstm_norm.CELLS,
        *gru_norm.CELLS,
    )
}
