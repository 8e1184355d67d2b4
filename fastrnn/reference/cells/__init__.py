"""The cells: one module each, of equations and traits and nothing else. A new one joins the list below."""

from __future__ import annotations

from typing import Protocol

from .._types import Array
from . import lstm

Gates = tuple[Array, ...]
States = tuple[Array, ...]


class Cell(Protocol):
    """What `fastrnn.reference.sequence` asks of a cell.

    Gates and states are tuples of [B, H] in the order of the traits. The first state is the output of the
    layer and the operand of the recurrent product.
    """

    @property
    def NAME(self) -> str: ...
    @property
    def GATES(self) -> tuple[str, ...]: ...
    @property
    def STATES(self) -> tuple[str, ...]: ...

    def forward(self, pre: Gates, states: States) -> tuple[Gates, States]:
        """Pre-activations and old states to (gates, new states)."""

    def backward(self, gates: Gates, old: States, new: States, dnew: States) -> tuple[Gates, States]:
        """Gradients of the new states to (gradients of the pre-activations, gradients of the old states).

        The part of the old states' gradient that flows through the recurrent product is the sequence's
        business.
        """


CELLS: dict[str, Cell] = {cell.NAME: cell for cell in (lstm,)}
