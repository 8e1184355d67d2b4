"""One direction of one level over a whole sequence: the place where cells may differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .. import _core
from .state_noise import NONE, Noise

if TYPE_CHECKING:
    from .._typing import Array, State


class Way(NamedTuple):
    """How a pass goes through a sequence.

    Attributes
    ----------
    level, direction : int
    batch_first : bool
        Sequences are [B, T, columns] instead of [T, B, columns].
    lengths : ndarray of int64, [B], or None
        Descending; sequences are then [N, columns] without padding, as `Ragged` has them, and begin where
        the direction begins.
    keep : bool
        A backward pass may follow.
    step : int
        The absolute step of x[0].
    noise : Noise
        What is done to the states besides the cell.
    bfloat16 : bool
        Operands of products are rounded.
    """

    level: int
    direction: int
    batch_first: bool
    lengths: Array | None
    keep: bool
    step: int
    noise: Noise = NONE
    bfloat16: bool = False

    @property
    def reverse(self) -> bool:
        """Whether the sequence is to be read from its last step to its first."""
        return self.direction == 1 and self.lengths is None


class Call(NamedTuple):
    """What a pass reads besides its weights, and where it writes.

    Attributes
    ----------
    x : ndarray
        A sequence, or tokens if there is a table.
    table : ndarray, [V, I], or None
    first : tuple of ndarray, each [B, width], or None
        The initial states; zeros if None.
    y : ndarray or None
        Where to write the output, if that is a part of a larger array.
    """

    x: Array
    table: Array | None = None
    first: State | None = None
    y: Array | None = None


class Back(NamedTuple):
    """What a pass is given backward, and asked for.

    Attributes
    ----------
    dy : ndarray like y, or None
    dlast : tuple of ndarray like ``LevelPass.last``, or None
    grads : like the weights of the pass
        Their gradients are added into these.
    dtable : ndarray like the table, or None
        And that of the table into this.
    want_dx : bool
    dx : ndarray like x, or None
        Where to write the gradient by x; may be dy.
    add : bool
        Add into it instead.
    """

    dy: Array | None
    dlast: State | None
    grads: Any
    dtable: Array | None = None
    want_dx: bool = True
    dx: Array | None = None
    add: bool = False


class Held(NamedTuple):
    """An input of a simple network that stays the same for several steps.

    Attributes
    ----------
    x : ndarray, [V, B, S], with lengths [V, S]
    weight : ndarray, [H, S]
        May be some columns of a larger one.
    of : ndarray of int
        Which of the V each step has, with lengths each row of ``Call.x``.
    """

    x: Array
    weight: Array
    of: Array


class LevelPass(Protocol):
    """What `Recurrent._run` gives.

    Attributes
    ----------
    y : ndarray
        The output, a sequence of ``layer.output_size`` columns, read-only.
    last : tuple of ndarray, each [B, width]
        The states after the last step of each row.
    """

    y: Array
    last: State

    def backward(self, back: Back) -> tuple[Array | None, State]:
        """Give the gradients by x and by the initial states, once."""


class CellPass:
    """The pass of a cell of the extension.

    Parameters
    ----------
    cell : str
    weights : tuple of ndarray or None
    way : Way
    call : Call
    side : ndarray or None
        What the cell reads besides x, a sequence of H columns.
    cells : ndarray or None
        Where to write c after each step, likewise.
    held : Held or None
        A second input.
    """

    __slots__ = ("cells", "first", "held", "last", "noise", "saved", "side", "table", "weights", "x", "y")

    def __init__(
        self,
        cell: str,
        weights: Any,
        way: Way,
        call: Call,
        side: Array | None = None,
        cells: Array | None = None,
        held: Held | None = None,
    ) -> None:
        self.x, self.table, self.first, y = call
        self.weights, self.noise, self.side, self.cells, self.held = weights, way.noise, side, cells, held
        self.y, self.last, self.saved = _core.recurrent_forward(
            cell, self.x, self.table, weights, self.first, way.batch_first, way.keep, way.reverse, y,
            way.lengths, *way.noise, side, cells, way.bfloat16, held,
        )  # fmt: skip

    def backward(
        self,
        back: Back,
        dside: Array | None = None,
        dcells: Array | None = None,
        dheld: tuple[Array, Array] | None = None,
    ) -> tuple[Array | None, State]:
        """As `LevelPass` has it.

        The gradient by `side` goes into `dside`, that by `cells` is `dcells`; those by x and weight of `held`
        are added into `dheld`.
        """
        assert self.saved is not None, "a pass that kept nothing"
        return _core.recurrent_backward(
            self.saved, self.x, self.table, self.weights, self.first, self.y,
            *back, *self.noise, self.side, dside, dcells, self.held and (self.held, dheld),
        )  # fmt: skip


class DepthPass:
    """A pass that reads the c of the level below in each step, and gives its own to the level above."""

    __slots__ = ("below", "dcells", "last", "own", "y")
    own: CellPass
    dcells: Array | None

    def __init__(
        self,
        cell: str,
        weights: Any,
        way: Way,
        call: Call,
        below: DepthPass | None,
        gives: bool,
    ) -> None:
        self.below, self.dcells = below, None
        steps, hidden = call.x.shape[: call.x.ndim - (call.table is None)], weights[1].shape[1]
        cells = _core.empty((*steps, hidden), weights[1]) if gives else None
        side = None if below is None else below.own.cells
        self.own = CellPass(cell, weights, way, call, side, cells)
        self.y, self.last = self.own.y, self.own.last

    def backward(self, back: Back) -> tuple[Array | None, State]:
        """As `LevelPass` has it; the level below learns of the gradient by its c."""
        side = self.own.side
        dside = None if side is None else _core.empty(side.shape, side)
        found = self.own.backward(back, dside, self.dcells)
        if self.below is not None:
            self.below.dcells = dside
        return found
